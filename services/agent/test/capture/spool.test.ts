import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CaptureError } from "../../src/capture/errors.ts";
import { createSpool, type Spool, spoolChunkBytesMax } from "../../src/capture/spool.ts";

const mib = 1024 * 1024;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "spool-test-"));
});
after(() => rm(folder, { recursive: true }));

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function contents(spool: Spool): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of spool.stream()) {
    assert.ok(chunk.length > 0 && chunk.length <= spoolChunkBytesMax, `a chunk of ${chunk.length} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function filled(bytes: Uint8Array, memoryBytesMax: number): Promise<Spool> {
  const spool = createSpool({ memoryBytesMax, bytesMax: 64 * mib, folder });
  await spool.write(bytes);
  await spool.end();
  return spool;
}

function captureError(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CaptureError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

describe("a spool gives back what was written", () => {
  const cases = [
    { name: "nothing", sizeBytes: 0, memoryBytesMax: mib },
    { name: "one byte", sizeBytes: 1, memoryBytesMax: mib },
    { name: "exactly what fits in memory", sizeBytes: 10_000, memoryBytesMax: 10_000 },
    { name: "one byte more than fits in memory", sizeBytes: 10_001, memoryBytesMax: 10_000 },
    { name: "all of it in the file", sizeBytes: 700_000, memoryBytesMax: 0 },
    { name: "memory and file", sizeBytes: 3 * mib + 17, memoryBytesMax: mib + 5 },
  ];
  for (const { name, sizeBytes, memoryBytesMax } of cases) {
    for (const chunkBytes of [997, 65_536, 4 * mib]) {
      test(`${name}, in chunks of ${chunkBytes}, whose buffer is used again`, async () => {
        const bytes = randomBytes(sizeBytes);
        const spool = createSpool({ memoryBytesMax, bytesMax: sizeBytes, folder });
        const buffer = Buffer.alloc(chunkBytes);
        for (let position = 0; position < sizeBytes; position += chunkBytes) {
          const length = bytes.copy(buffer, 0, position, position + chunkBytes);
          await spool.write(buffer.subarray(0, length));
          assert.ok(spool.memoryBytes <= memoryBytesMax);
        }
        buffer.fill(0);
        await spool.end();
        assert.equal(spool.sizeBytes, sizeBytes);
        assert.equal(spool.sha256, sha256(bytes));
        assert.ok((await contents(spool)).equals(bytes));
        await spool.discard();
      });
    }
  }

  test("64 MiB with 1 MiB of memory: never more than that is kept", async () => {
    const hash = createHash("sha256");
    const spool = createSpool({ memoryBytesMax: mib, bytesMax: 64 * mib, folder });
    for (let written = 0; written < 64 * mib; written += 100_000) {
      const chunk = randomBytes(Math.min(100_000, 64 * mib - written));
      hash.update(chunk);
      await spool.write(chunk);
      assert.ok(spool.memoryBytes <= mib, `${spool.memoryBytes} bytes in memory`);
    }
    await spool.end();
    const read = createHash("sha256");
    for await (const chunk of spool.stream()) read.update(chunk);
    const expected = hash.digest("hex");
    assert.equal(spool.sha256, expected);
    assert.equal(read.digest("hex"), expected);
    await spool.discard();
    assert.equal(spool.memoryBytes, 0);
  });

  test("a small state takes little of the memory it might take", async () => {
    const spool = await filled(Buffer.from("{}"), 4 * mib);
    assert.ok(spool.memoryBytes <= 4_096);
    await spool.discard();
  });

  test("again, and to several readers at once", async () => {
    const bytes = randomBytes(2 * mib);
    const spool = await filled(bytes, mib);
    const readings = await Promise.all([contents(spool), contents(spool), contents(spool)]);
    const stream = spool.stream();
    for (let times = 0; times < 2; times += 1) {
      const read = createHash("sha256");
      for await (const chunk of stream) read.update(chunk);
      assert.equal(read.digest("hex"), sha256(bytes));
    }
    for (const reading of readings) assert.ok(reading.equals(bytes));
    await spool.discard();
  });
});

describe("a spool keeps to its limits", () => {
  test("a state over the limit is refused with its size and the limit, and stays refused", async () => {
    const spool = createSpool({ memoryBytesMax: 10, bytesMax: 1_000, folder });
    await spool.write(randomBytes(1_000));
    const tooLarge = captureError(
      "StateTooLarge",
      /has 1001 bytes so far and the limit is 1000.*CUTLINE_STATE_BYTES_MAX/,
    );
    await assert.rejects(spool.write(randomBytes(1)), tooLarge);
    await assert.rejects(spool.write(randomBytes(0)), tooLarge);
    await assert.rejects(spool.end(), tooLarge);
    assert.equal(spool.memoryBytes, 0);
    await spool.discard();
    await assert.rejects(spool.end(), tooLarge);
  });

  test("a folder that cannot be written makes the state unreadable, and says where", async () => {
    const spool = createSpool({ memoryBytesMax: 10, bytesMax: 1_000, folder: join(folder, "missing") });
    await spool.write(randomBytes(10));
    const unreadable = captureError("StateUnreadable", /10 bytes so far|missing.*ENOENT/);
    await assert.rejects(spool.write(randomBytes(1)), unreadable);
    await assert.rejects(spool.end(), unreadable);
  });

  test("misuse is refused: writes at once, writes after the end, reading before it", async () => {
    const spool = createSpool({ memoryBytesMax: 0, bytesMax: mib, folder });
    const first = spool.write(randomBytes(100));
    await assert.rejects(spool.write(randomBytes(100)), /one write at a time/);
    await assert.rejects(spool.end(), /last write/);
    assert.throws(() => spool.stream(), /after end\(\) only/);
    assert.throws(() => spool.sha256, /after end\(\) only/);
    await first;
    await spool.end();
    await spool.end();
    await assert.rejects(spool.write(randomBytes(1)), /after end\(\)/);
    assert.equal(spool.sizeBytes, 100);
    await spool.discard();
  });
});

describe("a spool leaves nothing behind", () => {
  test("its file has no name while it is in use, so a crash leaves none", async () => {
    const spool = await filled(randomBytes(mib), 0);
    assert.deepEqual(await readdir(folder), []);
    assert.equal((await contents(spool)).length, mib);
    await spool.discard();
  });

  test("discarding closes the file, as often as it is asked", { skip: noFileTable() }, async () => {
    const spool = await filled(randomBytes(mib), 0);
    assert.equal(await filesOpenIn(folder), 1);
    await Promise.all([spool.discard(), spool.discard()]);
    await spool.discard();
    assert.equal(await filesOpenIn(folder), 0);
  });

  test("a state that became too large gives its file back by itself", { skip: noFileTable() }, async () => {
    const spool = createSpool({ memoryBytesMax: 0, bytesMax: 1_000, folder });
    await spool.write(randomBytes(1_000));
    assert.equal(await filesOpenIn(folder), 1);
    await assert.rejects(spool.write(randomBytes(1)));
    assert.equal(await filesOpenIn(folder), 0);
  });

  test("discarding during a write ends the write with an error and closes the file", {
    skip: noFileTable(),
  }, async () => {
    const spool = createSpool({ memoryBytesMax: 0, bytesMax: mib, folder });
    const write = assert.rejects(spool.write(randomBytes(mib)), captureError("CaptureAborted", /discarded/));
    await spool.discard();
    await write;
    assert.equal(await filesOpenIn(folder), 0);
  });

  for (const { where, memoryBytesMax } of [
    { where: "memory", memoryBytesMax: 4 * mib },
    { where: "a file", memoryBytesMax: 0 },
  ]) {
    test(`streams from ${where} that run when it is discarded end with an error`, async () => {
      const spool = await filled(randomBytes(4 * mib), memoryBytesMax);
      const aborted = captureError("CaptureAborted", /discarded/);
      const begun = spool.stream()[Symbol.asyncIterator]();
      await begun.next();
      const waiting = spool.stream()[Symbol.asyncIterator]();
      const pending = assert.rejects(async () => {
        for (;;) if ((await waiting.next()).done === true) return;
      }, aborted);
      await spool.discard();
      await pending;
      await assert.rejects(begun.next(), aborted);
      await assert.rejects(contents(spool), aborted);
    });
  }
});

function noFileTable(): string | false {
  return process.platform === "linux" ? false : "needs /proc/self/fd";
}

async function filesOpenIn(path: string): Promise<number> {
  const names = await readdir("/proc/self/fd");
  // The handle that lists the folder is gone when its link is read.
  const targets = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => "")));
  return targets.filter((target) => target.startsWith(path)).length;
}

describe("a spool that is given its chunks", () => {
  const chunkOf = (bytes: number) => Buffer.from(randomBytes(bytes).buffer.slice(0, bytes));
  const limits = { memoryBytesMax: 1024 * 1024, bytesMax: 4 * 1024 * 1024 };

  test("keeps large ones as they are, and copies what would keep other memory alive", async (t) => {
    const spool = createSpool(limits);
    t.after(() => spool.discard());
    const [large, small] = [chunkOf(200_000), chunkOf(100_000).subarray(0, 1_000)];
    await spool.write(Buffer.from("head"));
    await spool.take(large);
    await spool.take(small);
    await spool.end();
    const expected = Buffer.concat([Buffer.from("head"), large, small]);
    assert.deepEqual(await contents(spool), expected);
    assert.equal(spool.sha256, sha256(expected));
    const chunks: Buffer[] = [];
    for await (const chunk of spool.stream()) chunks.push(chunk);
    assert.ok(chunks.some(({ buffer }) => buffer === large.buffer));
    assert.ok(!chunks.some(({ buffer }) => buffer === small.buffer));
  });

  test("keeps to its limit of memory, and gives back what went in, in order", async (t) => {
    for (const sizes of [
      [262_144, 262_144, 262_144, 262_144, 262_144, 10],
      [3, 262_144, 700_000, 262_144, 1, 262_144],
      [300_000, 262_144, 262_144, 262_144, 100],
    ]) {
      const spool = createSpool(limits);
      t.after(() => spool.discard());
      const chunks = sizes.map(chunkOf);
      for (const chunk of chunks) {
        await spool.take(chunk);
        assert.ok(spool.memoryBytes <= limits.memoryBytesMax, `${spool.memoryBytes} bytes in memory`);
      }
      await spool.end();
      assert.ok((await contents(spool)).equals(Buffer.concat(chunks)), `${sizes}`);
    }
  });

  test("has the hash that it is given, where it makes none", async (t) => {
    const spool = createSpool({ ...limits, hash: "given" });
    t.after(() => spool.discard());
    await spool.take(chunkOf(10));
    await assert.rejects(spool.end(), /given one at its end/);
    await spool.end("ab".repeat(32));
    assert.equal(spool.sha256, "ab".repeat(32));
  });
});
