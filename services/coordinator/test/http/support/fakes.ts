import { createHash } from "node:crypto";
import { Snapshot } from "@cutline/proto/snapshot";
import type { Snapshots, StartOutcome, StartRequest, Topology } from "../../../src/snapshots.ts";
import type { PartStore } from "../../../src/state/parts.ts";
import { type ListQuery, type PartInfo, type PartKey, StoreError } from "../../../src/store/port.ts";

/** Keeps parts in memory, or makes them while they are read. */
export class MemoryParts implements PartStore {
  readonly #parts = new Map<string, { info: PartInfo; read: () => AsyncIterable<Uint8Array> }>();
  /** How many bytes readers have taken out, of all parts. */
  readBytes = 0;

  put(key: PartKey, bytes: Uint8Array, contentType = "application/octet-stream"): PartInfo {
    const chunkBytes = Math.max(1, Math.min(65_536, Math.ceil(bytes.length / 3)));
    async function* read() {
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        yield bytes.subarray(at, at + chunkBytes);
      }
    }
    const info = { sizeBytes: bytes.length, sha256: sha256(bytes), contentType };
    this.putStream(key, info, read);
    return info;
  }

  putStream(key: PartKey, info: PartInfo, read: () => AsyncIterable<Uint8Array>): void {
    this.#parts.set(nameOf(key), { info, read });
  }

  /** The bytes are gone or changed, and the store has not noticed. */
  spoil(key: PartKey, read: () => AsyncIterable<Uint8Array>): void {
    const part = this.#parts.get(nameOf(key));
    if (part === undefined) {
      throw new Error(`no part ${nameOf(key)}`);
    }
    part.read = read;
  }

  drop(key: PartKey): void {
    this.#parts.delete(nameOf(key));
  }

  async statPart(key: PartKey): Promise<PartInfo | undefined> {
    return this.#parts.get(nameOf(key))?.info;
  }

  async *readPart(key: PartKey): AsyncIterable<Uint8Array> {
    const part = this.#parts.get(nameOf(key));
    if (part === undefined) {
      throw new StoreError("StorePartMissing", `part ${nameOf(key)} is missing`);
    }
    for await (const chunk of part.read()) {
      this.readBytes += chunk.length;
      yield chunk;
    }
  }
}

function nameOf(key: PartKey): string {
  return JSON.stringify([key.snapshotId, key.attempt, key.kind, key.owner]);
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export const emptyTopology: Topology = { term: 1, processes: [], links: [], environment: [] };

/** A coordinator without agents: what is started stays Pending until it is aborted. */
export class MemorySnapshots implements Snapshots {
  readonly documents = new Map<string, Snapshot>();
  readonly starts: StartRequest[] = [];
  readonly queries: ListQuery[] = [];
  nextStart: StartOutcome | undefined;
  failure: Error | undefined;
  ready: Awaited<ReturnType<Snapshots["readiness"]>> = { outcome: "ready" };
  view: Topology = emptyTopology;

  async start(request: StartRequest): Promise<StartOutcome> {
    this.#failWhenAsked();
    this.starts.push(request);
    if (this.nextStart !== undefined) {
      return this.nextStart;
    }
    const idempotencyKey = request.idempotencyKey ?? "";
    const earlier = [...this.documents.values()].find(
      (each) => idempotencyKey !== "" && each.idempotencyKey === idempotencyKey,
    );
    if (earlier !== undefined) {
      return { outcome: "existing", snapshot: earlier };
    }
    const snapshot = Snapshot.create({
      id: `snap-${this.documents.size + 1}`,
      phase: "Pending",
      attempt: 1,
      attemptsMax: request.attempts ?? 3,
      term: 1,
      labels: { ...request.labels },
      initiator: request.initiator ?? "",
      createdAt: new Date(Date.UTC(2026, 0, 1) + this.documents.size).toISOString(),
      timeoutMs: request.timeoutMs ?? 0,
      idempotencyKey,
      progress: {},
      ...(request.scope !== undefined && { scope: request.scope }),
    });
    this.documents.set(snapshot.id, snapshot);
    return { outcome: "accepted", snapshot };
  }

  async get(id: string): Promise<Snapshot | undefined> {
    this.#failWhenAsked();
    return this.documents.get(id);
  }

  async list(query: ListQuery) {
    this.#failWhenAsked();
    this.queries.push(query);
    const from = query.cursor === undefined ? 0 : Number(query.cursor);
    if (!Number.isInteger(from)) {
      throw new StoreError("StoreBadCursor", "not a cursor");
    }
    const matching = [...this.documents.values()]
      .reverse()
      .filter((each) => Object.entries(query.labels ?? {}).every(([key, value]) => each.labels[key] === value))
      .filter((each) => query.phases?.includes(each.phase) ?? true)
      .filter((each) => each.createdAt >= (query.createdSince ?? "") && each.createdAt < (query.createdBefore ?? "9"));
    const end = from + query.limit;
    const snapshots = matching.slice(from, end);
    return end < matching.length ? { snapshots, next: String(end) } : { snapshots };
  }

  async abort(id: string): Promise<Awaited<ReturnType<Snapshots["abort"]>>> {
    this.#failWhenAsked();
    const snapshot = this.documents.get(id);
    if (snapshot === undefined) {
      return { outcome: "missing" };
    }
    if (hasEnded(snapshot)) {
      return { outcome: "ended" };
    }
    snapshot.phase = "Aborted";
    return { outcome: "aborted", snapshot };
  }

  async remove(id: string): Promise<"removed" | "missing" | "running"> {
    this.#failWhenAsked();
    const snapshot = this.documents.get(id);
    if (snapshot === undefined) {
      return "missing";
    }
    if (!hasEnded(snapshot)) {
      return "running";
    }
    this.documents.delete(id);
    return "removed";
  }

  topology(): Topology {
    this.#failWhenAsked();
    return this.view;
  }

  async readiness() {
    this.#failWhenAsked();
    return this.ready;
  }

  #failWhenAsked(): void {
    if (this.failure !== undefined) {
      throw this.failure;
    }
  }
}

function hasEnded(snapshot: Snapshot): boolean {
  return ["Completed", "Failed", "Aborted"].includes(snapshot.phase);
}
