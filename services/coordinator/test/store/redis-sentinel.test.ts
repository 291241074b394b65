import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Redis } from "ioredis";
import { openStore } from "../../src/store/open.ts";
import { StoreError } from "../../src/store/port.ts";
import { readSentinelUrl } from "../../src/store/redis/sentinel-url.ts";
import { startRedis } from "../support/redis-server.ts";
import { bytesOf, lead, part, put, readAll, snapshot, until } from "./fixtures.ts";

describe("redis behind Sentinel", { timeout: 180_000 }, () => {
  it("goes on with the new master after a failover, and the same term", async (t) => {
    const master = await startRedis();
    t.after(() => master.stop());
    const replica = await startRedis({ arguments: ["--replicaof", "127.0.0.1", String(master.port)] });
    t.after(() => replica.stop());
    // Only the test begins a failover; a master that a busy machine keeps waiting is not down.
    const sentinel = await startRedis({
      sentinel: [`sentinel monitor bank 127.0.0.1 ${master.port} 1`, "sentinel down-after-milliseconds bank 60000"],
    });
    t.after(() => sentinel.stop());
    const store = await openStore({
      url: `redis+sentinel://127.0.0.1:${sentinel.port}/bank`,
      operationTimeoutMs: 10_000,
    });
    t.after(() => store.close());
    const term = await lead(store, "a");
    await store.create(term, snapshot("s"));
    await put(store, term, part("s"), [bytesOf(1_000, 1)]);

    const watcher = new Redis(sentinel.url, { enableReadyCheck: false });
    t.after(() => watcher.disconnect());
    const onReplica = new Redis(replica.url);
    t.after(() => onReplica.disconnect());
    await until("the replica has the part", async () =>
      (await onReplica.keys("*")).some((name) => name.includes(":part:")) ? true : undefined,
    );
    await until("the sentinel begins the failover", async () => {
      try {
        return await watcher.call("SENTINEL", "FAILOVER", "bank");
      } catch (error) {
        // It has not heard of the replica yet.
        assert.match(String(error), /NOGOODSLAVE/);
        return undefined;
      }
    });
    await until("the replica is master", async () =>
      String(await onReplica.call("ROLE")).startsWith("master") ? true : undefined,
    );
    await until("the sentinel names the new master", async () => {
      const address = await watcher.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "bank");
      return Array.isArray(address) && Number(address[1]) === replica.port ? true : undefined;
    });
    await master.stop();
    const outcome = await until("the store writes to the new master", async () => {
      try {
        return await store.update(term, snapshot("s", { phase: "Cutting" }));
      } catch (error) {
        assert.ok(error instanceof StoreError, String(error));
        return undefined;
      }
    });
    assert.equal(outcome, "written");
    assert.match(String(await onReplica.hget("cutline:snapshot:{s}:document", "json")), /Cutting/);
    assert.equal((await readAll(store, part("s"))).byteLength, 1_000);
  });

  it("reads the sentinels' addresses from the URL, and quotes no password", () => {
    assert.deepEqual(readSentinelUrl("redis+sentinel://u:p%40@a:1,b/bank/3"), {
      sentinels: [
        { host: "a", port: 1 },
        { host: "b", port: 26_379 },
      ],
      name: "bank",
      username: "u",
      password: "p@",
      db: 3,
    });
    assert.throws(
      () => readSentinelUrl("redis+sentinel://u:secret@a"),
      (error: Error) => {
        assert.ok(error instanceof RangeError);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      },
    );
  });
});
