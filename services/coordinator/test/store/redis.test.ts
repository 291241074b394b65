import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Redis } from "ioredis";
import { keyText, partName } from "../../src/store/key-text.ts";
import { openStore } from "../../src/store/open.ts";
import type { PartKey, Store } from "../../src/store/port.ts";
import { Keys } from "../../src/store/redis/keys.ts";
import { openRedisStore } from "../../src/store/redis.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { storeCompliance } from "./compliance.ts";
import { lead, rejects, type Storage, snapshot } from "./fixtures.ts";

const operationTimeoutMs = 10_000;
/** One node that serves all slots: it refuses scripts whose keys lie in several, as a larger cluster does. */
const clusterArguments = ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"];

for (const topology of ["single", "cluster"] as const) {
  describe(`redis ${topology}`, () => {
    let server: RedisServer;
    let admin: Redis;
    let storages = 0;

    before(async () => {
      server = await startRedis(topology === "cluster" ? { arguments: clusterArguments } : {});
      admin = new Redis(server.url);
      if (topology === "cluster") {
        await admin.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
        while (!String(await admin.call("CLUSTER", "INFO")).includes("cluster_state:ok")) {
          await new Promise(setImmediate);
        }
      }
    });

    after(async () => {
      admin.disconnect();
      await server.stop();
    });

    storeCompliance(topology, async () => {
      storages += 1;
      return startStorage(server.url, admin, `t${storages}:`, topology);
    });
  });
}

describe("redis: opening", () => {
  it("is chosen by URL", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const store = await openStore({ url: server.url, operationTimeoutMs });
    t.after(() => store.close());
    await lead(store, "a");
  });

  it("refuses a key prefix that would break the hash tags", async () => {
    await assert.rejects(openRedisStore({ url: "redis://x", keyPrefix: "a{b}", operationTimeoutMs }), RangeError);
  });

  it("says that there is no server", async (t) => {
    const server = await startRedis();
    await server.stop();
    const store = await openRedisStore({ url: server.url, operationTimeoutMs: 200 });
    t.after(() => store.close());
    const refused = await rejects(store.create(1, snapshot("s")), "StoreUnavailable", /connection/);
    assert.equal(refused.outcomeUnknown, false);
  });
});

function startStorage(url: string, admin: Redis, keyPrefix: string, topology: "single" | "cluster"): Storage {
  const keys = new Keys(keyPrefix);
  const stores: Store[] = [];
  const committed = (key: PartKey) => keys.committedPart(key.snapshotId, partName(key));
  return {
    async open(options) {
      const store = await openRedisStore({ url, keyPrefix, topology, operationTimeoutMs, ...options });
      stores.push(store);
      return store;
    },
    async leftovers() {
      const found: string[] = [];
      for await (const names of admin.scanStream({ match: `${keyPrefix}*`, count: 1_000 })) {
        found.push(...(names as string[]));
      }
      return found.filter((name) => name !== keys.lease).sort();
    },
    async flipByte(key, chunk) {
      const bytes = await admin.hgetBuffer(committed(key), String(chunk));
      assert.ok(bytes);
      bytes[7] = Number(bytes[7]) ^ 1;
      await admin.hset(committed(key), String(chunk), bytes);
    },
    async dropChunk(key, chunk) {
      assert.equal(await admin.hdel(committed(key), String(chunk)), 1);
    },
    async replaceDocument(id, document) {
      assert.ok(keys.document(id).includes(`{${keyText(id)}}`));
      await admin.hset(keys.document(id), "json", document);
    },
    async close() {
      for (const store of stores) {
        await store.close();
      }
    },
  };
}
