import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { openEmbeddedStore } from "../../src/store/embedded.ts";
import { keyText, partName } from "../../src/store/key-text.ts";
import { openStore } from "../../src/store/open.ts";
import type { PartKey, Store } from "../../src/store/port.ts";
import { storeCompliance } from "./compliance.ts";
import { bytesOf, chunkBytes, lead, part, put, readAll, rejects, type Storage, snapshot, until } from "./fixtures.ts";

const operationTimeoutMs = 5_000;

storeCompliance("embedded", startStorage);

describe("embedded: the file", () => {
  it("keeps everything over closing and opening", () =>
    inFolder(async (path) => {
      const store = await openStore({ url: `file:${path}`, operationTimeoutMs });
      const term = await lead(store, "a");
      await store.create(term, snapshot("s"));
      await put(store, term, part("s"), [bytesOf(1000, 1)]);
      await store.publish(term, snapshot("s", { phase: "Completed" }));
      await store.close();
      const again = await openStore({ url: `file://${path}`, operationTimeoutMs });
      assert.equal((await again.get("s"))?.phase, "Completed");
      assert.deepEqual(await readAll(again, part("s")), Buffer.from(bytesOf(1000, 1)));
      assert.equal((await again.acquireLease("b", 1)).outcome, "held");
      await again.close();
    }));

  it("is refused with its path when it is no store, or damaged, or from another version", () =>
    inFolder(async (path) => {
      await writeFile(path, "this is not a database, and long enough to look at".repeat(100));
      await rejects(openEmbeddedStore({ path, operationTimeoutMs }), "StoreCorrupt", new RegExp(path));
      await rm(path);
      await fill(path);
      const size = (await stat(path)).size;
      await truncate(path, size - 40_000);
      await rejects(openEmbeddedStore({ path, operationTimeoutMs }), "StoreCorrupt", new RegExp(path));
      await rm(path);
      const other = new DatabaseSync(path);
      other.exec("CREATE TABLE someone_elses (x)");
      other.close();
      await rejects(openEmbeddedStore({ path, operationTimeoutMs }), "StoreCorrupt", new RegExp(path));
      await rejects(
        openEmbeddedStore({ path: join(path, "x"), operationTimeoutMs }),
        "StoreUnavailable",
        new RegExp(path),
      );
    }));

  it("tells of a byte flipped on the disk, in a part and in a document", () =>
    inFolder(async (path) => {
      await fill(path);
      await flipOnDisk(path, Buffer.from(bytesOf(1000, 1)).subarray(400, 500));
      await flipOnDisk(path, Buffer.from("a message to flip a bit of"));
      const store = await openEmbeddedStore({ path, operationTimeoutMs });
      await rejects(readAll(store, part("s")), "StorePartCorrupt", /chunk 0 does not have its hash/);
      await rejects(store.get("s"), "StoreCorrupt", /snapshot s /);
      await store.close();
    }));

  it("loses nothing committed, and nothing else matters, when its log has a torn tail", () =>
    inFolder(async (path) => {
      const store = await openEmbeddedStore({ path, operationTimeoutMs });
      const term = await lead(store, "a");
      await store.create(term, snapshot("s"));
      await put(store, term, part("s"), [bytesOf(1000, 1)]);
      const logBytes = (await stat(`${path}-wal`)).size;
      await store.update(term, snapshot("s", { phase: "Cutting" }));
      const [main, log] = [await readFile(path), await readFile(`${path}-wal`)];
      await store.close();
      const torn = `${path}.torn`;
      await writeFile(torn, main);
      await writeFile(`${torn}-wal`, log.subarray(0, logBytes + 100));
      const reopened = await openEmbeddedStore({ path: torn, operationTimeoutMs });
      assert.equal((await reopened.get("s"))?.phase, "Pending");
      assert.deepEqual(await readAll(reopened, part("s")), Buffer.from(bytesOf(1000, 1)));
      await reopened.close();
    }));

  it("gives up the snapshot when there is no room, and takes others after a removal", () =>
    inFolder(async (path) => {
      const store = await openEmbeddedStore({ path, operationTimeoutMs, sizeBytesMax: 2 * 1024 * 1024 });
      const term = await lead(store, "a");
      await store.create(term, snapshot("s"));
      const writer = await store.writePart(term, part("s"));
      await rejects(
        (async () => {
          for (let n = 0; n < 20; n += 1) {
            await writer.write(bytesOf(chunkBytes, n));
          }
        })(),
        "StoreFull",
        new RegExp(path),
      );
      await writer.abort();
      assert.equal(await store.update(term, snapshot("s", { phase: "Failed" })), "written");
      assert.equal(await store.remove(term, "s"), "removed");
      await store.create(term, snapshot("t"));
      await put(store, term, part("t"), [bytesOf(chunkBytes, 1)]);
      await store.close();
    }));

  it("gives the room of removed snapshots back to the disk", () =>
    inFolder(async (path) => {
      const store = await openEmbeddedStore({ path, operationTimeoutMs });
      const term = await lead(store, "a");
      await store.create(term, snapshot("s"));
      await put(
        store,
        term,
        part("s"),
        Array.from({ length: 16 }, () => bytesOf(chunkBytes, 1)),
      );
      await store.remove(term, "s");
      await store.close();
      assert.ok((await stat(path)).size < 1024 * 1024);
    }));

  it("waits for a lock of another process, and says so when that takes too long", () =>
    inFolder(async (path) => {
      const store = await openEmbeddedStore({ path, operationTimeoutMs: 200 });
      const other = new DatabaseSync(path);
      other.exec("BEGIN IMMEDIATE");
      const refused = await rejects(store.acquireLease("a", 1000), "StoreTimeout", new RegExp(path));
      assert.equal(refused.outcomeUnknown, false);
      const waiting = store.acquireLease("a", 1000);
      other.exec("COMMIT");
      assert.equal((await waiting).outcome, "acquired");
      other.close();
      await store.close();
    }));

  it("is shared by two processes, and the lease keeps them apart", { timeout: 180_000 }, () =>
    inFolder(async (path) => {
      const child = startOther(path);
      try {
        const first = Number(await child.ask("lead"));
        assert.equal(await child.ask("create"), "created");
        const store = await openEmbeddedStore({ path, operationTimeoutMs });
        assert.equal((await store.acquireLease("here", 60_000)).outcome, "held");
        assert.equal(await child.ask("update"), "written");
        assert.equal(await child.ask("shorten"), "renewed");
        const second = await until("the other's lease expires", async () => {
          const outcome = await store.acquireLease("here", 60_000);
          return outcome.outcome === "acquired" ? outcome.term : undefined;
        });
        assert.ok(second > first);
        assert.equal(await child.ask("update"), "fenced");
        assert.equal(await child.ask("publish"), "fenced");
        assert.equal(await store.publish(second, snapshot("s", { phase: "Completed" })), "published");
        await store.close();
      } finally {
        await child.end();
      }
    }),
  );

  it("may live in memory", async () => {
    const store = await openEmbeddedStore({ path: ":memory:", operationTimeoutMs, clock: () => 5 });
    assert.equal((await store.acquireLease("a", 10)).outcome, "acquired");
    assert.deepEqual(await store.acquireLease("b", 10), { outcome: "held", holder: "a", expiresInMs: 10 });
    await store.close();
  });

  it("is chosen by URL, and unknown schemes are refused", async () => {
    await assert.rejects(openStore({ url: "http://localhost", operationTimeoutMs }), RangeError);
    await assert.rejects(openStore({ url: "nothing", operationTimeoutMs }), RangeError);
  });
});

async function startStorage(): Promise<Storage> {
  const folder = await mkdtemp(join(tmpdir(), "cutline-store-"));
  const path = join(folder, "store.db");
  const stores: Store[] = [];
  const direct = <T>(work: (database: DatabaseSync) => T): T => {
    const database = new DatabaseSync(path, { timeout: operationTimeoutMs });
    try {
      return work(database);
    } finally {
      database.close();
    }
  };
  const chunkOf = (key: PartKey) => [keyText(key.snapshotId), partName(key)] as const;
  const version = "SELECT version FROM parts WHERE snapshot = ? AND name = ? AND stage = 'committed'";
  return {
    async open(options) {
      const store = await openEmbeddedStore({ path, operationTimeoutMs, ...options });
      stores.push(store);
      return store;
    },
    leftovers: async () =>
      direct((database) =>
        [
          "SELECT 'document ' || id AS name FROM snapshots",
          "SELECT 'part ' || version AS name FROM parts",
          "SELECT 'chunk ' || version || ' ' || number AS name FROM chunks",
        ].flatMap((sql) =>
          database
            .prepare(sql)
            .all()
            .map(({ name }) => String(name)),
        ),
      ),
    flipByte: async (key, chunk) =>
      direct((database) => {
        const where = `version = (${version}) AND number = ?`;
        const row = database.prepare(`SELECT bytes FROM chunks WHERE ${where}`).get(...chunkOf(key), chunk);
        const bytes = row?.bytes as Uint8Array;
        bytes[7] = Number(bytes[7]) ^ 1;
        database.prepare(`UPDATE chunks SET bytes = ? WHERE ${where}`).run(bytes, ...chunkOf(key), chunk);
      }),
    dropChunk: async (key, chunk) =>
      direct((database) => {
        database.prepare(`DELETE FROM chunks WHERE version = (${version}) AND number = ?`).run(...chunkOf(key), chunk);
      }),
    replaceDocument: async (id, document) =>
      direct((database) => {
        database.prepare("UPDATE snapshots SET document = ? WHERE id = ?").run(document, keyText(id));
      }),
    async close() {
      for (const store of stores) {
        await store.close();
      }
      await rm(folder, { recursive: true });
    },
  };
}

async function inFolder(test: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "cutline-store-"));
  try {
    await test(join(folder, "store.db"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function fill(path: string): Promise<void> {
  const store = await openEmbeddedStore({ path, operationTimeoutMs });
  const term = await lead(store, "a");
  await store.create(term, snapshot("s", { message: "a message to flip a bit of" }));
  await put(store, term, part("s"), [bytesOf(1000, 1)]);
  await store.close();
}

async function flipOnDisk(path: string, pattern: Buffer): Promise<void> {
  const at = (await readFile(path)).indexOf(pattern);
  assert.ok(at >= 0);
  const file = await open(path, "r+");
  await file.write(Buffer.from([Number(pattern[3]) ^ 1]), 0, 1, at + 3);
  await file.close();
}

/** Another process with the same file open, which does what it is told and answers with the outcome. */
function startOther(path: string): { ask(command: string): Promise<string>; end(): Promise<void> } {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.resolve("./other-process.ts")), path], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(command) {
      child.stdin.write(`${command}\n`);
      const answer = await answers.next();
      assert.equal(answer.done, false, "the other process ended");
      return String(answer.value);
    },
    async end() {
      if (child.exitCode === null) {
        const exited = once(child, "exit");
        child.kill("SIGKILL");
        await exited;
      }
    },
  };
}
