import {
  isLastPhase,
  type LeaseSuccession,
  nextTerm,
  type PublicationOutcome,
  type SnapshotDocument,
  type WriteOutcome,
} from "@cutline/protocol";
import type { Engine } from "../engine/engine.ts";
import type { Random } from "../engine/random.ts";
import { digestOf } from "../records.ts";

/** How the store behaves at the moment; faults change it. Probabilities per operation. */
export interface StoreQuality {
  latencyMs: number;
  /** Refused: it does not happen. */
  fails: number;
  /** The caller hears nothing in time, and it happens all the same. */
  timesOut: number;
  /** As before, but it happens only some time after the caller has given up. */
  late: number;
}

export interface StoredDocument {
  document: SnapshotDocument;
  term: number;
  sequence: number;
  published: boolean;
}

export interface StorePartKey {
  readonly snapshotId: string;
  readonly attempt: number;
  /** `kind owner`. */
  readonly name: string;
}

interface StorePart {
  readonly content: string;
  readonly digest: string;
  readonly writer: number;
}

/** Not committed yet. */
interface OpenPart {
  readonly key: StorePartKey;
  readonly writer: number;
  content: string;
}

export type LeaseOutcome =
  | { readonly outcome: "acquired"; readonly term: number; readonly succession: LeaseSuccession }
  | { readonly outcome: "held"; readonly holder: string; readonly expiresInMs: number };
export type CreateOutcome = "created" | "exists" | "fenced";
/** `lost`: another writer has begun the part anew, or it was removed. */
export type PartOutcome = "taken" | "fenced" | "missing" | "published" | "lost";

export interface StoreEvents {
  onGranted(term: number, holder: string): void;
  onWritten(id: string, stored: StoredDocument): void;
  onFault(what: string, how: string): void;
}

/** How long a caller waits for an answer, and how much later than that a late write happens at most. */
const operationTimeoutMs = 60;
const lateMsMax = 900;

/**
 * The store as services/coordinator/src/store/redis/scripts.ts has it: every write checks the term of the lease and of the
 * document, and a document's writes of one term are in the order of their sequence.
 */
export class Store {
  readonly documents = new Map<string, StoredDocument>();
  /** By snapshot, then `attempt kind owner`. */
  readonly parts = new Map<string, Map<string, StorePart>>();
  readonly #openParts = new Map<string, OpenPart>();
  readonly #engine: Engine;
  readonly #random: Random;
  readonly #quality: StoreQuality;
  readonly #events: StoreEvents;
  #lease = { term: 0, holder: "", expiresAtMs: 0 };
  #sequence = 0;
  #writers = 0;

  constructor(engine: Engine, random: Random, quality: StoreQuality, events: StoreEvents) {
    this.#engine = engine;
    this.#random = random;
    this.#quality = quality;
    this.#events = events;
  }

  acquireLease(holder: string, leaseMs: number, answer: (outcome: LeaseOutcome | "unknown") => void): void {
    this.#operate("acquireLease", answer, (): LeaseOutcome => {
      const now = this.#engine.nowMs;
      const expired = this.#lease.expiresAtMs <= now;
      if (!expired && this.#lease.holder !== holder)
        return { outcome: "held", holder: this.#lease.holder, expiresInMs: this.#lease.expiresAtMs - now };
      // A new term at every acquisition: a write that its holder sent before may still be on its way.
      const succession = this.#lease.term === 0 ? "first" : "takeOver";
      const term = nextTerm(this.#lease.term, now);
      this.#events.onGranted(term, holder);
      this.#lease = { term, holder, expiresAtMs: now + leaseMs };
      return { outcome: "acquired", term, succession };
    });
  }

  renewLease(term: number, leaseMs: number, answer: (outcome: "renewed" | "lost" | "unknown") => void): void {
    this.#operate("renewLease", answer, () => {
      if (this.#lease.term !== term || this.#lease.expiresAtMs <= this.#engine.nowMs) return "lost";
      this.#lease.expiresAtMs = this.#engine.nowMs + leaseMs;
      return "renewed";
    });
  }

  create(term: number, document: SnapshotDocument, answer: (outcome: CreateOutcome | "unknown") => void): void {
    const { id } = document.spec;
    this.#operate(`create ${id}`, answer, () => {
      if (this.#isFenced(term, this.documents.get(id))) return "fenced";
      if (this.documents.has(id)) return "exists";
      const stored = { document, term, sequence: 0, published: false };
      this.documents.set(id, stored);
      this.#events.onWritten(id, stored);
      return "created";
    });
  }

  update(term: number, document: SnapshotDocument, answer: (outcome: WriteOutcome) => void): void {
    this.#replace(term, document, false, (outcome) => answer(outcome === "already" ? "published" : outcome));
  }

  publish(term: number, document: SnapshotDocument, answer: (outcome: PublicationOutcome) => void): void {
    this.#replace(term, document, true, (outcome) => answer(outcome === "written" ? "published" : outcome));
  }

  get(id: string, answer: (stored: StoredDocument | undefined | "unknown") => void): void {
    this.#operate(`get ${id}`, answer, () => {
      const stored = this.documents.get(id);
      return stored === undefined ? undefined : { ...stored };
    });
  }

  /** Ids of documents that are not in a last phase. */
  listRunning(answer: (ids: readonly string[] | "unknown") => void): void {
    this.#operate("list", answer, () =>
      [...this.documents].filter(([, { document }]) => !isLastPhase(document.phase)).map(([id]) => id),
    );
  }

  /** The name of one who writes one part. */
  newWriter(): number {
    this.#writers += 1;
    return this.#writers;
  }

  /** Begins a part, or begins it anew. */
  beginPart(term: number, key: StorePartKey, writer: number, answer: (outcome: PartOutcome | "unknown") => void): void {
    this.#operate(`begin ${nameOf(key)}`, answer, () => {
      const stored = this.documents.get(key.snapshotId);
      if (this.#isFenced(term, stored)) return "fenced";
      if (stored === undefined) return "missing";
      if (stored.published) return "published";
      stored.term = term;
      this.#openParts.set(nameOf(key), { key, writer, content: "" });
      return "taken";
    });
  }

  writeChunk(
    term: number,
    key: StorePartKey,
    writer: number,
    chunk: string,
    answer: (outcome: PartOutcome | "unknown") => void,
  ): void {
    this.#operate(`chunk of ${nameOf(key)}`, answer, () => {
      if (this.#isFenced(term, this.documents.get(key.snapshotId))) return "fenced";
      const open = this.#openParts.get(nameOf(key));
      if (open?.writer !== writer) return "lost";
      open.content += chunk;
      return "taken";
    });
  }

  commitPart(
    term: number,
    key: StorePartKey,
    writer: number,
    answer: (outcome: PartOutcome | "unknown") => void,
  ): void {
    this.#operate(`commit ${nameOf(key)}`, answer, () => {
      const stored = this.documents.get(key.snapshotId);
      if (this.#isFenced(term, stored)) return "fenced";
      const parts = this.parts.get(key.snapshotId) ?? new Map<string, StorePart>();
      if (parts.get(partNameOf(key))?.writer === writer) return "taken";
      const open = this.#openParts.get(nameOf(key));
      if (open?.writer !== writer) return "lost";
      if (stored?.published === true) return "published";
      this.#openParts.delete(nameOf(key));
      this.parts.set(key.snapshotId, parts);
      parts.set(partNameOf(key), { content: open.content, digest: digestOf(open.content), writer });
      return "taken";
    });
  }

  /** What its writer did not commit goes. */
  abortPart(key: StorePartKey, writer: number): void {
    this.#operate(
      `abort ${nameOf(key)}`,
      () => undefined,
      () => {
        if (this.#openParts.get(nameOf(key))?.writer === writer) this.#openParts.delete(nameOf(key));
      },
    );
  }

  readPart(key: StorePartKey, answer: (part: StorePart | undefined | "unknown") => void): void {
    this.#operate(`read ${nameOf(key)}`, answer, () => this.parts.get(key.snapshotId)?.get(partNameOf(key)));
  }

  removeParts(
    term: number,
    id: string,
    attemptThrough: number,
    answer: (outcome: "removed" | "fenced" | "unknown") => void = () => undefined,
  ): void {
    this.#operate(`remove parts of ${id}`, answer, () => {
      if (this.#isFenced(term, this.documents.get(id))) return "fenced";
      const parts = this.parts.get(id);
      for (const name of [...(parts?.keys() ?? [])]) {
        if (Number(name.slice(0, name.indexOf(" "))) <= attemptThrough) parts?.delete(name);
      }
      for (const [name, { key }] of [...this.#openParts]) {
        if (key.snapshotId === id && key.attempt <= attemptThrough) this.#openParts.delete(name);
      }
      return "removed";
    });
  }

  #replace(
    term: number,
    document: SnapshotDocument,
    published: boolean,
    answer: (outcome: "written" | "already" | "fenced" | "missing" | "unknown") => void,
  ): void {
    const { id } = document.spec;
    this.#sequence += 1;
    const sequence = this.#sequence;
    this.#operate(`${published ? "publish" : "update"} ${id}`, answer, () => {
      const stored = this.documents.get(id);
      if (this.#isFenced(term, stored)) return "fenced";
      if (stored === undefined) return "missing";
      if (stored.published) return "already";
      if (stored.term === term && stored.sequence > sequence) return "fenced";
      const next = { document, term, sequence, published };
      this.documents.set(id, next);
      this.#events.onWritten(id, next);
      return "written";
    });
  }

  #isFenced(term: number, stored: StoredDocument | undefined): boolean {
    return Math.max(this.#lease.term, stored?.term ?? 0) > term;
  }

  /** Carries an operation out, now or later or not, and answers, or lets the caller's time run out. */
  #operate<T>(name: string, answer: (outcome: T | "unknown") => void, apply: () => T): void {
    const { latencyMs, fails, timesOut, late } = this.#quality;
    const engine = this.#engine;
    const thereMs = this.#random.below(latencyMs + 1);
    const fate = this.#random.next() / 2 ** 32;
    if (fate < fails) {
      this.#events.onFault("storeFails", name);
      engine.after(thereMs, () => answer("unknown"));
    } else if (fate < fails + timesOut) {
      this.#events.onFault("storeTimesOut", name);
      engine.after(thereMs, apply);
      engine.after(operationTimeoutMs, () => answer("unknown"));
    } else if (fate < fails + timesOut + late) {
      this.#events.onFault("storeLate", name);
      engine.after(operationTimeoutMs + this.#random.below(lateMsMax), apply);
      engine.after(operationTimeoutMs, () => answer("unknown"));
    } else {
      engine.after(thereMs, () => {
        const outcome = apply();
        engine.after(this.#random.below(latencyMs + 1), () => answer(outcome));
      });
    }
  }
}

/** Among the parts of its snapshot. */
function partNameOf({ attempt, name }: StorePartKey): string {
  return `${attempt} ${name}`;
}

function nameOf(key: StorePartKey): string {
  return `${key.snapshotId}/${partNameOf(key)}`;
}
