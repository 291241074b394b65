import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, type TestContext } from "node:test";
import { Redis } from "ioredis";
import { partName } from "../../src/store/key-text.ts";
import { type Store, StoreError } from "../../src/store/port.ts";
import { openRedisStore } from "../../src/store/redis.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { bytesOf, chunkBytes, infoOf, lead, part, put, readAll, rejects, snapshot, until } from "./fixtures.ts";

/** Longer than a busy machine takes. */
const operationTimeoutMs = 20_000;
/** For operations that get no answer, on a store of their own. */
const shortTimeoutMs = 2_000;

describe("redis: faults of the server", { timeout: 300_000 }, () => {
  let server: RedisServer;
  let store: Store;
  let admin: Redis;

  beforeEach(async () => {
    server = await startRedis();
    store = await openRedisStore({ url: server.url, operationTimeoutMs });
    admin = new Redis(server.url);
    // The server is stopped under this client too, which reconnects by itself.
    admin.on("error", () => undefined);
  });

  afterEach(async () => {
    await store.close();
    admin.disconnect();
    await server.stop();
  });

  async function openImpatient(t: TestContext): Promise<Store> {
    const impatient = await openRedisStore({ url: server.url, operationTimeoutMs: shortTimeoutMs });
    t.after(() => impatient.close());
    return impatient;
  }

  it("a frozen server: writes time out with an unknown outcome, and go on when it thaws", async (t) => {
    const impatient = await openImpatient(t);
    const term = await lead(store, "a");
    await store.create(term, snapshot("s"));
    const writer = await impatient.writePart(term, part("s"));
    process.kill(server.pid, "SIGSTOP");
    try {
      const startMs = performance.now();
      const [update, chunk, read] = await Promise.all([
        rejects(impatient.update(term, snapshot("s", { phase: "Cutting" })), "StoreTimeout"),
        rejects(writer.write(bytesOf(100, 1)), "StoreTimeout"),
        rejects(impatient.get("s"), "StoreTimeout"),
      ]);
      assert.ok(performance.now() - startMs < operationTimeoutMs);
      assert.equal(update.outcomeUnknown, true);
      assert.equal(chunk.outcomeUnknown, true);
      assert.equal(read.outcomeUnknown, false);
      await assert.rejects(impatient.update(term, snapshot("s", { phase: "Cutting" })), StoreError);
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
    await recovered(impatient);
    // The timed-out writes may or may not have happened: repeating them gives the state of having done them once.
    await writer.write(bytesOf(100, 1));
    await writer.write(bytesOf(100, 2));
    await writer.commit(infoOf([bytesOf(100, 1), bytesOf(100, 2)]));
    assert.equal(await store.update(term, snapshot("s", { phase: "Collecting" })), "written");
    assert.equal((await readAll(store, part("s"))).byteLength, 200);
    assert.equal((await store.get("s"))?.phase, "Collecting");
  });

  it("a write overtaken on its way is refused when it arrives at last", async (t) => {
    const term = await lead(store, "a");
    await store.create(term, snapshot("s"));
    // Its writes are numbered as those that the leader sent first: lower than the one that has overtaken them.
    const late = await openRedisStore({ url: server.url, operationTimeoutMs });
    t.after(() => late.close());
    assert.equal(await store.update(term, snapshot("s", { phase: "Failed" })), "written");
    assert.equal(await late.update(term, snapshot("s", { phase: "Cutting" })), "fenced");
    assert.equal(await late.publish(term, snapshot("s", { phase: "Completed" })), "fenced");
    assert.equal((await store.get("s"))?.phase, "Failed");
    assert.equal(await store.update(term, snapshot("s", { phase: "Aborted" })), "written");
  });

  it("a full server: new state is refused; failing, removing and leading go on", async () => {
    const term = await lead(store, "a");
    await store.create(term, snapshot("s"));
    await put(store, term, part("s"), [bytesOf(chunkBytes, 1)]);
    const writer = await store.writePart(term, part("s", { owner: "full" }));
    await admin.config("SET", "maxmemory", "1mb");
    await rejects(writer.write(bytesOf(chunkBytes, 1)), "StoreFull", /maxmemory/);
    await rejects(store.writePart(term, part("s", { owner: "x" })), "StoreFull");
    const refused = await rejects(store.create(term, snapshot("t")), "StoreFull");
    assert.equal(refused.outcomeUnknown, false);
    assert.equal(await store.renewLease(term, 60_000), "renewed");
    assert.equal(await store.update(term, snapshot("s", { phase: "Failed", reason: "StoreFull" })), "written");
    await writer.abort();
    assert.equal(await store.remove(term, "s"), "removed");
    await store.releaseLease(term);
    assert.ok((await lead(store, "b")) > term);
    await admin.config("SET", "maxmemory", "0");
    await store.create(await lead(store, "b"), snapshot("t"));
  });

  it("a master that became a replica: writes say so, and go on after it is master again", async () => {
    const term = await lead(store, "a");
    await store.create(term, snapshot("s"));
    // Nothing listens there: it stays a replica without a master, and keeps its data.
    await admin.replicaof("127.0.0.1", 1);
    const refused = await rejects(store.update(term, snapshot("s", { phase: "Cutting" })), "StoreReadOnly");
    assert.equal(refused.outcomeUnknown, false);
    await admin.replicaof("NO", "ONE");
    await recovered(store);
    assert.equal(await store.update(term, snapshot("s", { phase: "Cutting" })), "written");
  });

  it("a server that ends: calls say so at once or after the time-out; the next one has lost all, and terms still grow", async (t) => {
    const impatient = await openImpatient(t);
    const term = await lead(store, "a");
    await store.create(term, snapshot("s"));
    const writer = await impatient.writePart(term, part("s"));
    await writer.write(bytesOf(100, 1));
    await server.stop();
    await rejects(writer.write(bytesOf(100, 2)), "StoreUnavailable");
    server = await startRedis({ port: server.port });
    await recovered(impatient);
    await recovered(store);
    await rejects(writer.write(bytesOf(100, 2)), "StorePartCorrupt");
    assert.equal(await store.update(term, snapshot("s")), "missing");
    assert.equal(await store.statPart(part("s")), undefined);
    assert.ok((await lead(store, "a")) > term);
  });

  it("a connection cut under a write: the caller is told, and the store connects anew", async () => {
    const term = await lead(store, "a");
    await store.create(term, snapshot("s"));
    await admin.call("CLIENT", "PAUSE", "5000", "WRITE");
    const cut = rejects(
      store.update(term, snapshot("s", { phase: "Cutting" })),
      "StoreUnavailable",
      /connection broke/,
    );
    await until("the write is at the server", async () =>
      String(await admin.client("LIST")).includes("cmd=evalsha") ? true : undefined,
    );
    await admin.call("CLIENT", "KILL", "SKIPME", "YES");
    assert.equal((await cut).outcomeUnknown, true);
    await admin.call("CLIENT", "UNPAUSE");
    await recovered(store);
    assert.equal(await store.update(term, snapshot("s", { phase: "Collecting" })), "written");
    assert.equal((await store.get("s"))?.phase, "Collecting");
  });

  it("a chunk lost before the commit: the commit is refused", async () => {
    const term = await lead(store, "a");
    await store.create(term, snapshot("s"));
    const writer = await store.writePart(term, part("s"));
    await writer.write(bytesOf(100, 1));
    await writer.write(bytesOf(100, 2));
    assert.equal(await admin.hdel(`cutline:snapshot:{s}:open:${partName(part("s"))}`, "0"), 1);
    await rejects(writer.commit(infoOf([bytesOf(100, 1), bytesOf(100, 2)])), "StorePartCorrupt");
  });

  it("scripts forgotten by the server are sent again", async () => {
    const term = await lead(store, "a");
    await store.create(term, snapshot("s"));
    await admin.script("FLUSH");
    assert.equal(await store.update(term, snapshot("s", { phase: "Cutting" })), "written");
  });

  it("a removal broken off in the middle is finished by the next leader", async () => {
    const term = await lead(store, "a");
    await store.create(term, snapshot("s", { idempotencyKey: "k" }));
    await put(store, term, part("s"), [bytesOf(100, 1)]);
    const blocked = "~* &* +@all -unlink";
    await admin.call("ACL", "SETUSER", "default", ...blocked.split(" "));
    await rejects(store.remove(term, "s"), "StoreUnavailable");
    await admin.call("ACL", "SETUSER", "default", "+@all");
    assert.equal(await store.get("s"), undefined);
    assert.deepEqual((await store.list({ limit: 10 })).snapshots, []);
    await store.releaseLease(term);
    await lead(store, "b");
    assert.deepEqual(await admin.keys("*"), ["cutline:{leader}:lease"]);
  });

  it("a creation broken off in the middle is finished by who asks again", async () => {
    const term = await lead(store, "a");
    const keys = "cutline:{leader}:idempotency";
    const first = snapshot("s", { idempotencyKey: "k" });
    await store.create(term, first);
    // What the first of the two steps leaves behind: the reservation and the place in the list, without the document.
    assert.equal(await admin.hexists(keys, "k"), 1);
    await admin.del("cutline:snapshot:{s}:document");
    assert.deepEqual((await store.list({ limit: 10 })).snapshots, []);
    const outcome = await store.create(term, snapshot("t", { idempotencyKey: "k" }));
    assert.deepEqual(outcome, { outcome: "exists", snapshot: first });
    assert.deepEqual((await store.list({ limit: 10 })).snapshots, [first]);
  });

  it("keys with the prefix that are someone else's are named, not overwritten", async () => {
    await admin.set("cutline:{leader}:lease", "someone else's");
    await rejects(store.acquireLease("a", 1_000), "StoreCorrupt", /prefix/);
  });
});

async function recovered(store: Store): Promise<void> {
  await until("the store answers again", async () => {
    try {
      await store.ping();
      return true;
    } catch (error) {
      assert.ok(error instanceof StoreError);
      return undefined;
    }
  });
}
