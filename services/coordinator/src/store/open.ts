import { fileURLToPath } from "node:url";
import { openEmbeddedStore } from "./embedded.ts";
import type { Store } from "./port.ts";
import { openRedisStore } from "./redis.ts";

export interface StoreOptions {
  /** `redis://...`, `rediss://...` or `redis+sentinel://...`; `file:PATH` or `file:///PATH` for the embedded store. */
  readonly url: string;
  /** Bounds every operation. */
  readonly operationTimeoutMs: number;
  /** Redis: stands before every key. Default `cutline:`. */
  readonly keyPrefix?: string | undefined;
  /** Redis: default `single`. */
  readonly topology?: "single" | "cluster" | undefined;
  /** Embedded: the file grows no further. Default: the disk is the limit. */
  readonly sizeBytesMax?: number | undefined;
}

/** Opens the store that the URL names. An unknown scheme is a `RangeError`; see the two factories for the rest. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const scheme = options.url.slice(0, options.url.indexOf(":") + 1);
  switch (scheme) {
    case "redis:":
    case "rediss:":
    case "redis+sentinel:":
      return await openRedisStore(options);
    case "file:":
      return await openEmbeddedStore({ ...options, path: pathOf(options.url) });
    default:
      throw new RangeError(`A store's URL begins with redis:, rediss:, redis+sentinel: or file:, not "${scheme}".`);
  }
}

function pathOf(url: string): string {
  return url.startsWith("file://") ? fileURLToPath(url) : url.slice("file:".length);
}
