import type { Snapshot } from "@cutline/proto/snapshot";
import type { LeaseSuccession } from "@cutline/protocol";

/**
 * Where snapshots live. Two adapters, one compliance suite (test/store).
 *
 * Rules every adapter keeps:
 * - Every write carries the writer's leadership term and changes nothing when a higher term has been granted (I9).
 * - Every write is idempotent: repeating it after an unknown outcome gives the state of having done it once.
 * - A part can be read only after its commit; a snapshot lists as Completed only after `publish`, one atomic step (I5).
 * - `remove` leaves nothing of the snapshot behind.
 * - Every method rejects with a {@link StoreError}; none waits longer than the adapter's `operationTimeoutMs` (a part: each chunk).
 *   Only arguments that no caller should give (a chunk too large, a limit or phase out of place) are a `RangeError`.
 * - `id`, `createdAt` and `idempotencyKey` of a document are fixed at its creation.
 */
export interface Store {
  /**
   * Takes the lease when it is free, expired or already the holder's, always with a new term: what a holder sent before it
   * asked again is refused from then on, even where it was the leader (I9). Terms only ever grow, not always by one (`nextTerm`
   * of the protocol). Two programs must not share a holder's name: each would take the lease from the other.
   */
  acquireLease(holder: string, leaseMs: number): Promise<LeaseOutcome>;
  /** `lost`: it expired, was released, or is another's. */
  renewLease(term: number, leaseMs: number): Promise<"renewed" | "lost">;
  releaseLease(term: number): Promise<void>;

  /**
   * Creates the document, or finds the one made earlier with the same idempotency key or id; so a creation that is
   * repeated after an unknown outcome may find itself (`exists` with its own id). Never Completed.
   */
  create(term: number, snapshot: Snapshot): Promise<CreateOutcome>;
  /** Replaces a document that is not Completed with one that is not either. `published`: it is, and stays as it was. */
  update(term: number, snapshot: Snapshot): Promise<"written" | "fenced" | "missing" | "published">;
  /** Writes the Completed document, once. `already`: an earlier publication stands and stays as it was. */
  publish(term: number, snapshot: Snapshot): Promise<"published" | "already" | "fenced" | "missing">;
  get(id: string): Promise<Snapshot | undefined>;
  list(query: ListQuery): Promise<ListPage>;
  /** Removes document and parts. `missing` when there is neither. */
  remove(term: number, id: string): Promise<"removed" | "fenced" | "missing">;
  /** Removes the parts of the attempts up to `attemptThrough`, and keeps the document. */
  removeParts(term: number, id: string, attemptThrough: number): Promise<"removed" | "fenced">;

  /**
   * Begins (or begins anew) a part; what an earlier writer left uncommitted under this key is dropped, what it committed
   * stays readable until the new commit. Rejects with `StoreFenced`, with `StorePartMissing` when the snapshot has no document, and with
   * `StoreReadOnly` when it is published.
   */
  writePart(term: number, key: PartKey): Promise<PartWriter>;
  /** `undefined`: no committed part has this key. */
  statPart(key: PartKey): Promise<PartInfo | undefined>;
  /**
   * Streams a committed part in chunks; rejects with `StorePartMissing`, or `StorePartCorrupt` where a chunk is gone or the
   * bytes are not those committed. Bytes may have been given out before that shows: the end is the proof.
   */
  readPart(key: PartKey): AsyncIterable<Uint8Array>;

  /** Resolves when the store answers, for readiness. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export type LeaseOutcome =
  | { readonly outcome: "acquired"; readonly term: number; readonly succession: LeaseSuccession }
  | { readonly outcome: "held"; readonly holder: string; readonly expiresInMs: number };

export type CreateOutcome =
  | { readonly outcome: "created" }
  | { readonly outcome: "exists"; readonly snapshot: Snapshot }
  | { readonly outcome: "fenced" };

/** Newest first (by `createdAt`, then id in its key text, descending). All given conditions must hold. */
export interface ListQuery {
  readonly labels?: Readonly<Record<string, string>>;
  readonly phases?: readonly string[];
  /** RFC 3339, inclusive. */
  readonly createdSince?: string;
  /** RFC 3339, exclusive. */
  readonly createdBefore?: string;
  /** 1..500. */
  readonly limit: number;
  /** `next` of the page before. A cursor that is not one rejects with `StoreBadCursor`. */
  readonly cursor?: string;
}

export interface ListPage {
  readonly snapshots: readonly Snapshot[];
  readonly next?: string;
}

export type PartKind = "local" | "calls" | "channel" | "outbox";

export interface PartKey {
  readonly snapshotId: string;
  readonly attempt: number;
  readonly kind: PartKind;
  /** Process id for `local` and `calls`, channel id for `channel` and `outbox`. */
  readonly owner: string;
}

export interface PartInfo {
  readonly sizeBytes: number;
  /** Lower-case hex, over the part's bytes. */
  readonly sha256: string;
  readonly contentType: string;
}

/** Writes one part. Memory use does not grow with the part: `write` resolves when the chunk has left for the store. */
export interface PartWriter {
  /** At most 256 KiB a call, one call at a time. After an unknown outcome the same chunk may be written again. */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Makes the part readable, once it is durable. Rejects with `StoreFenced` when the term has passed, and with `StorePartCorrupt` when what was
   * written does not have this size and hash, or another writer has begun the part anew.
   */
  commit(info: PartInfo): Promise<void>;
  /** Drops what was written; never rejects. */
  abort(): Promise<void>;
}

export type StoreErrorCode =
  | "StoreUnavailable"
  | "StoreTimeout"
  | "StoreFull"
  | "StoreFenced"
  | "StoreReadOnly"
  | "StoreBadCursor"
  | "StorePartMissing"
  | "StorePartCorrupt"
  | "StoreCorrupt"
  | "StoreClosed";

/** `outcomeUnknown`: the write may have happened, or may still happen. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;
  readonly outcomeUnknown: boolean;

  constructor(code: StoreErrorCode, message: string, options?: { cause?: unknown; outcomeUnknown?: boolean }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = "StoreError";
    this.code = code;
    this.outcomeUnknown = options?.outcomeUnknown ?? false;
  }
}
