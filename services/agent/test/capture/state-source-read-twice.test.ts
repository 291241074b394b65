import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { CaptureError } from "../../src/capture/errors.ts";
import { readTwice } from "../../src/capture/read-twice.ts";
import type { Spool } from "../../src/capture/spool.ts";
import { parseCaptureSource, type StateSource } from "../../src/capture/state-source.ts";

const never = new AbortController().signal;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "read-twice-test-"));
});
after(() => rm(folder, { recursive: true }));

type Answer = (response: ServerResponse) => void;

/** An application that gives the first answer to the first reading and the second to the second. */
async function application(t: TestContext, ...answers: [Answer, Answer]): Promise<StateSource> {
  let readings = 0;
  const server = createServer((_, response) => answers[readings++]?.(response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const parsed = parseCaptureSource(`http://127.0.0.1:${address.port}/`);
  assert.ok(parsed.outcome === "ok" && parsed.source !== "participant");
  return parsed.source;
}

const answer =
  (body: Buffer, contentType = "application/x-state"): Answer =>
  (response) => {
    response.writeHead(200, { "content-type": contentType, "content-length": body.length }).end(body);
  };

async function assertHolds(spool: Spool, expected: Buffer): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of spool.stream()) chunks.push(chunk);
  assert.ok(Buffer.concat(chunks).equals(expected), `${spool.sizeBytes} bytes instead of ${expected.length}`);
  assert.equal(spool.sha256, createHash("sha256").update(expected).digest("hex"));
}

async function assertNothingOpen(): Promise<void> {
  for (;;) {
    const names = await readdir("/proc/self/fd");
    // The handle that lists the folder is gone when its link is read.
    const targets = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => "")));
    if (!targets.some((target) => target.startsWith(folder))) return;
    await new Promise(setImmediate);
  }
}

const state = randomBytes(1_000_000);
const changedAt = (position: number): Buffer => {
  const copy = Buffer.from(state);
  copy.writeUInt8(copy.readUInt8(position) ^ 1, position);
  return copy;
};

for (const memoryBytesMax of [0, 300_000, 4_000_000]) {
  const options = (): { memoryBytesMax: number; bytesMax: number; folder: string } => ({
    memoryBytesMax,
    bytesMax: 2_000_000,
    folder,
  });

  for (const same of [state, Buffer.alloc(0)]) {
    test(`the same ${same.length} bytes twice are the same (memory ${memoryBytesMax})`, async (t) => {
      const readings = await readTwice(await application(t, answer(same), answer(same)), options(), never);
      assert.equal(readings.outcome, "same");
      assert.equal(readings.contentType, "application/x-state");
      await assertHolds(readings.spool, same);
      await readings.spool.discard();
    });
  }

  for (const { name, first, second } of [
    { name: "the first byte differs", first: state, second: changedAt(0) },
    { name: "a byte in the middle differs", first: state, second: changedAt(654_321) },
    { name: "the last byte differs", first: state, second: changedAt(999_999) },
    { name: "it became shorter", first: state, second: state.subarray(0, 700_000) },
    { name: "it became longer", first: state.subarray(0, 700_000), second: state },
    { name: "it became empty", first: state, second: Buffer.alloc(0) },
    { name: "it was empty", first: Buffer.alloc(0), second: state },
  ]) {
    test(`${name}: different, and the second reading is kept (memory ${memoryBytesMax})`, async (t) => {
      const readings = await readTwice(await application(t, answer(first), answer(second)), options(), never);
      assert.equal(readings.outcome, "different");
      await assertHolds(readings.spool, second);
      assert.ok(readings.spool.memoryBytes <= memoryBytesMax);
      await readings.spool.discard();
    });
  }
}

test("the same bytes under another content type are different", async (t) => {
  const source = await application(t, answer(state, "text/a"), answer(state, "text/b"));
  const readings = await readTwice(source, { memoryBytesMax: 0, bytesMax: 1_000_000, folder }, never);
  assert.equal(readings.outcome, "different");
  assert.equal(readings.contentType, "text/b");
  await assertHolds(readings.spool, state);
  await readings.spool.discard();
});

const onLinux = { skip: process.platform !== "linux" && "needs /proc/self/fd" };

for (const { name, first, second, code } of [
  {
    name: "the first reading is too large",
    first: answer(randomBytes(1_000_001)),
    second: answer(state),
    code: "StateTooLarge",
  },
  {
    name: "the second reading is too large",
    first: answer(state),
    second: answer(Buffer.concat([state, Buffer.alloc(1)])),
    code: "StateTooLarge",
  },
  {
    name: "the second reading breaks off where it was the same",
    first: answer(state),
    second: (response: ServerResponse) =>
      response
        .writeHead(200, { "content-length": 1_000_000 })
        .write(state.subarray(0, 5_000), () => response.destroy()),
    code: "StateUnreadable",
  },
  {
    name: "the second reading breaks off where it was different",
    first: answer(state),
    second: (response: ServerResponse) =>
      response
        .writeHead(200, { "content-length": 1_000_000 })
        .write(changedAt(9).subarray(0, 500_000), () => response.destroy()),
    code: "StateUnreadable",
  },
]) {
  test(`when ${name}, nothing is left behind`, onLinux, async (t) => {
    const source = await application(t, first, second);
    const reading = readTwice(source, { memoryBytesMax: 1_000, bytesMax: 1_000_000, folder }, never);
    await assert.rejects(reading, (error) => error instanceof CaptureError && error.code === code);
    await assertNothingOpen();
  });
}

test("a deadline in the second reading ends it and leaves nothing behind", onLinux, async (t) => {
  const deadline = new AbortController();
  const source = await application(t, answer(state), (response) => {
    response.writeHead(200, { "content-length": 1_000_000 }).write(changedAt(9).subarray(0, 500_000), () => {
      deadline.abort(new CaptureError("CaptureTimedOut", "5 s are over"));
    });
  });
  const reading = readTwice(source, { memoryBytesMax: 1_000, bytesMax: 1_000_000, folder }, deadline.signal);
  await assert.rejects(reading, (error) => error instanceof CaptureError && error.code === "CaptureTimedOut");
  await assertNothingOpen();
});
