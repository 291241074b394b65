import { createHash } from "node:crypto";
import { type PartInfo, type PartKey, StoreError } from "./port.ts";

const chunkBytesMax = 256 * 1024;

export function checkChunkSize(chunk: Uint8Array): void {
  if (chunk.byteLength > chunkBytesMax) {
    throw new RangeError(`A chunk holds at most ${chunkBytesMax} bytes, not ${chunk.byteLength}.`);
  }
}

/** Size and hash of a part while its chunks go by. */
export class PartTally {
  readonly #hash = createHash("sha256");
  chunks = 0;
  sizeBytes = 0;

  add(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.chunks += 1;
    this.sizeBytes += chunk.byteLength;
  }

  /** Rejects with `StorePartCorrupt` when what went by is not what the info says. */
  check(key: PartKey, info: PartInfo): void {
    const sha256 = this.#hash.copy().digest("hex");
    if (this.sizeBytes !== info.sizeBytes || sha256 !== info.sha256) {
      throw partCorrupt(
        key,
        `it should have ${info.sizeBytes} bytes with the hash ${info.sha256}, and has ${this.sizeBytes} with ${sha256}`,
      );
    }
  }
}

export function partCorrupt(key: PartKey, why: string, cause?: unknown): StoreError {
  return new StoreError("StorePartCorrupt", `${describePart(key)} is damaged: ${why}. Take a new snapshot.`, { cause });
}

export function partMissing(key: PartKey): StoreError {
  return new StoreError("StorePartMissing", `${describePart(key)} is not in the store, or was never committed.`);
}

/** The answers a store gives to a part's writer, besides success. */
export type PartRefusal = "fenced" | "missing" | "published" | "lost";

export function partRefused(key: PartKey, term: number, refusal: PartRefusal): StoreError {
  const part = describePart(key);
  switch (refusal) {
    case "fenced":
      return new StoreError("StoreFenced", `${part} was not written: a term after ${term} leads. Stop writing.`);
    case "missing":
      return new StoreError(
        "StorePartMissing",
        `${part} was not written: the snapshot is not in the store. Create it first.`,
      );
    case "published":
      return new StoreError(
        "StoreReadOnly",
        `${part} was not written: the snapshot is published, and its parts stand.`,
      );
    case "lost":
      return new StoreError(
        "StorePartCorrupt",
        `${part} was begun anew by another writer, removed, or lost by the store. Begin it anew.`,
      );
  }
}

export function describePart(key: PartKey): string {
  return `Part ${key.kind} of ${JSON.stringify(key.owner)} (snapshot ${key.snapshotId}, attempt ${key.attempt})`;
}
