import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Snapshot } from "@cutline/proto/snapshot";
import { type PartInfo, type PartKey, type Store, StoreError, type StoreErrorCode } from "../../src/store/port.ts";

/** One empty storage, and the ways to reach behind the port that its tests need. */
export interface Storage {
  /** Another client of the same storage. The storage closes it. */
  open(options?: { operationTimeoutMs?: number }): Promise<Store>;
  /** Names of everything stored except the lease. */
  leftovers(): Promise<string[]>;
  flipByte(key: PartKey, chunk: number): Promise<void>;
  dropChunk(key: PartKey, chunk: number): Promise<void>;
  replaceDocument(id: string, document: string): Promise<void>;
  close(): Promise<void>;
}

export type StartStorage = () => Promise<Storage>;

export const leaseMs = 60_000;
export const chunkBytes = 256 * 1024;

export async function withStorage(start: StartStorage, test: (storage: Storage) => Promise<void>): Promise<void> {
  const storage = await start();
  try {
    await test(storage);
  } finally {
    await storage.close();
  }
}

/** A storage with one client that holds the lease. */
export async function withLeader(
  start: StartStorage,
  test: (leader: { store: Store; term: number; storage: Storage }) => Promise<void>,
): Promise<void> {
  await withStorage(start, async (storage) => {
    const store = await storage.open();
    await test({ store, term: await lead(store, "a"), storage });
  });
}

export async function lead(store: Store, holder: string, forMs = leaseMs): Promise<number> {
  const outcome = await store.acquireLease(holder, forMs);
  assert.equal(outcome.outcome, "acquired");
  return outcome.outcome === "acquired" ? outcome.term : 0;
}

/** Lets the lease of `store`'s term go, so that `successor` leads with a higher one. */
export async function succeed(store: Store, term: number, successor: Store): Promise<number> {
  await store.releaseLease(term);
  return await lead(successor, "successor");
}

export function snapshot(id: string, fields: Partial<Snapshot> = {}): Snapshot {
  const { labels, ...rest } = fields;
  const made = Snapshot.fromPartial({ phase: "Pending", createdAt: "2026-01-02T03:04:05.678Z", ...rest, id });
  return labels === undefined ? made : { ...made, labels };
}

export function part(snapshotId: string, fields: Partial<PartKey> = {}): PartKey {
  return { snapshotId, attempt: 1, kind: "local", owner: "bank/branch-0", ...fields };
}

export function bytesOf(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0, x = seed + 1; i < size; i += 1) {
    x = (Math.imul(x, 1_103_515_245) + 12_345) | 0;
    bytes[i] = x >>> 16;
  }
  return bytes;
}

export function infoOf(chunks: readonly Uint8Array[], contentType = "application/json"): PartInfo {
  const hash = createHash("sha256");
  for (const chunk of chunks) {
    hash.update(chunk);
  }
  return {
    sizeBytes: chunks.reduce((sum, { byteLength }) => sum + byteLength, 0),
    sha256: hash.digest("hex"),
    contentType,
  };
}

export async function put(store: Store, term: number, key: PartKey, chunks: readonly Uint8Array[]): Promise<PartInfo> {
  const writer = await store.writePart(term, key);
  for (const chunk of chunks) {
    await writer.write(chunk);
  }
  const info = infoOf(chunks);
  await writer.commit(info);
  return info;
}

export async function readAll(store: Store, key: PartKey): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.readPart(key)) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export async function rejects(promise: Promise<unknown>, code: StoreErrorCode, pattern = /./): Promise<StoreError> {
  let found: unknown;
  await assert.rejects(promise, (error) => {
    found = error;
    return true;
  });
  assert.ok(found instanceof StoreError, `not a StoreError: ${found}`);
  assert.equal(found.code, code, found.message);
  assert.match(found.message, pattern);
  return found;
}

/** Waits for a condition; fails after a minute, which a busy machine may need. */
export async function until<T>(what: string, condition: () => Promise<T | undefined>): Promise<T> {
  const deadlineMs = performance.now() + 60_000;
  for (;;) {
    const value = await condition();
    if (value !== undefined) {
      return value;
    }
    assert.ok(performance.now() < deadlineMs, `not within 60 s: ${what}`);
    await sleep(5);
  }
}
