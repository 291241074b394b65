import type { Snapshot } from "@cutline/proto/snapshot";
import type { SnapshotDocument } from "@cutline/protocol";
import { Engine, Random, SimulatedStore, type StorePartKey } from "@cutline/simulator";
import {
  type CreateOutcome,
  type LeaseOutcome,
  type ListPage,
  type ListQuery,
  type PartInfo,
  type PartKey,
  type PartWriter,
  type Store,
  StoreError,
  type StoreErrorCode,
} from "../../src/store/port.ts";
import { infoOf, type Storage } from "./fixtures.ts";

/** How much later each operation finds the simulated clock. */
const operationMs = 2;

/** What the simulator keeps as a document, with the one of the port in it. */
interface Carrier {
  readonly spec: { readonly id: string };
  readonly phase: string;
  readonly snapshot: Snapshot;
}

/** The simulator's model of a store behind the real port, so that both can be held against one suite. It is never disturbed. */
export function startSimulated(engine = new Engine()): Storage & { open(): Promise<Store> } {
  const quality = { latencyMs: 0, fails: 0, timesOut: 0, late: 0 };
  const events = { onGranted: () => undefined, onWritten: () => undefined, onFault: () => undefined };
  const model = new SimulatedStore(engine, new Random(1), quality, events);
  const unsupported = () => Promise.reject(new Error("the model has nothing behind its port"));
  return {
    open: () => Promise.resolve(new Simulated(engine, model)),
    leftovers: unsupported,
    flipByte: unsupported,
    dropChunk: unsupported,
    replaceDocument: unsupported,
    close: () => Promise.resolve(),
  };
}

class Simulated implements Store {
  readonly #engine: Engine;
  readonly #model: SimulatedStore;

  constructor(engine: Engine, model: SimulatedStore) {
    this.#engine = engine;
    this.#model = model;
  }

  async acquireLease(holder: string, leaseMs: number): Promise<LeaseOutcome> {
    return this.#answer((answer) => this.#model.acquireLease(holder, leaseMs, answer));
  }

  async renewLease(term: number, leaseMs: number): Promise<"renewed" | "lost"> {
    return this.#answer((answer) => this.#model.renewLease(term, leaseMs, answer));
  }

  /** Simulated coordinators are killed and never stop: a lease for no time comes to the same. */
  async releaseLease(term: number): Promise<void> {
    await this.renewLease(term, 0);
  }

  async create(term: number, snapshot: Snapshot): Promise<CreateOutcome> {
    const outcome = this.#answer<"created" | "exists" | "fenced">((answer) =>
      this.#model.create(term, carrierOf(snapshot), answer),
    );
    if (outcome !== "exists") return { outcome };
    const found = await this.get(snapshot.id);
    if (found === undefined) throw new Error("a document that exists is missing");
    return { outcome, snapshot: found };
  }

  async update(term: number, snapshot: Snapshot): Promise<"written" | "fenced" | "missing" | "published"> {
    return this.#answer((answer) => this.#model.update(term, carrierOf(snapshot), answer));
  }

  async publish(term: number, snapshot: Snapshot): Promise<"published" | "already" | "fenced" | "missing"> {
    return this.#answer((answer) => this.#model.publish(term, carrierOf(snapshot), answer));
  }

  async get(id: string): Promise<Snapshot | undefined> {
    const stored = this.#answer<{ document: SnapshotDocument } | undefined>((answer) => this.#model.get(id, answer));
    return stored === undefined ? undefined : snapshotOf(stored.document);
  }

  /** The model lists what runs; conditions and pages it has not. */
  async list(_query: ListQuery): Promise<ListPage> {
    const ids = this.#answer<readonly string[]>((answer) => this.#model.listRunning(answer));
    const found = await Promise.all(ids.map((id) => this.get(id)));
    return { snapshots: found.filter((snapshot) => snapshot !== undefined) };
  }

  /** The model never removes a document; whether it might is asked of its parts. */
  async remove(term: number, id: string): Promise<"fenced"> {
    if ((await this.removeParts(term, id, 0)) === "fenced") return "fenced";
    throw new Error("the model never removes a document");
  }

  async removeParts(term: number, id: string, attemptThrough: number): Promise<"removed" | "fenced"> {
    return this.#answer((answer) => this.#model.removeParts(term, id, attemptThrough, answer));
  }

  async writePart(term: number, key: PartKey): Promise<PartWriter> {
    const writer = this.#model.newWriter();
    const named = nameOf(key);
    this.#take((answer) => this.#model.beginPart(term, named, writer, answer));
    return {
      write: async (chunk) => {
        const text = Buffer.from(chunk).toString("latin1");
        this.#take((answer) => this.#model.writeChunk(term, named, writer, text, answer));
      },
      commit: async () => this.#take((answer) => this.#model.commitPart(term, named, writer, answer)),
      abort: async () => {
        this.#model.abortPart(named, writer);
        this.#pass();
      },
    };
  }

  async statPart(key: PartKey): Promise<PartInfo | undefined> {
    if (key.attempt < 0) throw new RangeError("attempts count from 0");
    const bytes = this.#bytesOf(key);
    return bytes === undefined ? undefined : infoOf([bytes]);
  }

  async *readPart(key: PartKey): AsyncGenerator<Uint8Array> {
    const bytes = this.#bytesOf(key);
    if (bytes === undefined) throw new StoreError("StorePartMissing", `no part of ${key.owner}`);
    yield bytes;
  }

  async ping(): Promise<void> {}

  async close(): Promise<void> {}

  #bytesOf(key: PartKey): Buffer | undefined {
    const part = this.#answer<{ content: string } | undefined>((answer) => this.#model.readPart(nameOf(key), answer));
    return part === undefined ? undefined : Buffer.from(part.content, "latin1");
  }

  #take(operation: (answer: (outcome: string) => void) => void): void {
    const outcome = this.#answer(operation);
    const code = refusals.get(outcome);
    if (code !== undefined)
      throw new StoreError(code, `the part is refused, for bank/branch-0 and all others: ${outcome}`);
  }

  /** The model answers within the operation, for nothing is disturbed. */
  #answer<T>(operation: (answer: (outcome: T | "unknown") => void) => void): T {
    let answered: { readonly outcome: T | "unknown" } | undefined;
    operation((outcome) => {
      answered = { outcome };
    });
    this.#pass();
    if (answered === undefined || answered.outcome === "unknown") throw new Error("the model did not answer");
    return answered.outcome as T;
  }

  #pass(): void {
    this.#engine.run(this.#engine.nowMs + operationMs, Number.MAX_SAFE_INTEGER, () => false);
  }
}

const refusals: ReadonlyMap<string, StoreErrorCode> = new Map([
  ["fenced", "StoreFenced"],
  ["missing", "StorePartMissing"],
  ["published", "StoreReadOnly"],
  ["lost", "StorePartCorrupt"],
]);

function nameOf({ snapshotId, attempt, kind, owner }: PartKey): StorePartKey {
  return { snapshotId, attempt, name: `${kind} ${owner}` };
}

function carrierOf(snapshot: Snapshot): SnapshotDocument {
  const carrier: Carrier = { spec: { id: snapshot.id }, phase: snapshot.phase, snapshot };
  return carrier as unknown as SnapshotDocument;
}

function snapshotOf(document: SnapshotDocument): Snapshot {
  return (document as unknown as Carrier).snapshot;
}
