import { after, before, describe } from "node:test";
import { openEmbeddedStore } from "../../src/store/embedded.ts";
import type { Store } from "../../src/store/port.ts";
import { openRedisStore } from "../../src/store/redis.ts";
import { type RedisServer, startRedis } from "./redis-server.ts";

const operationTimeoutMs = 10_000;

/** Runs the suite on both adapters. `openStore` gives an empty store, which its caller closes. */
export function describeOnEachStore(name: string, suite: (openStore: () => Promise<Store>) => void): void {
  describe(`${name} on the embedded store`, () => {
    suite(() => openEmbeddedStore({ path: ":memory:", operationTimeoutMs }));
  });

  describe(`${name} on Redis`, () => {
    let server: RedisServer;
    let stores = 0;

    before(async () => {
      server = await startRedis();
    });

    after(() => server.stop());

    suite(() => {
      stores += 1;
      return openRedisStore({ url: server.url, keyPrefix: `t${stores}:`, operationTimeoutMs });
    });
  });
}
