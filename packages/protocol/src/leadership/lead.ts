import type { ProcessId } from "../cut/state.ts";
import type { RosterProcess, SnapshotHappening } from "../lifecycle/messages.ts";
import type { SnapshotPolicy, SnapshotSpec } from "../lifecycle/spec.ts";
import {
  createSnapshotState,
  type Inheritance,
  isLastPhase,
  restoreSnapshotState,
  type SnapshotState,
} from "../lifecycle/state.ts";
import { type AdmissionLimits, type StartRefusal, startRefusal } from "./admission.ts";
import { createLeaseState, holdsLease, type LeaseState, type LeaseSuccession, leadingTerm } from "./lease.ts";

/** A document as the store has it. */
export interface StoredSnapshot {
  readonly spec: SnapshotSpec;
  readonly phase: string;
  /** Of the leader that wrote it last. */
  readonly term: number;
  readonly inherited: Inheritance;
}

/** A look into the store for snapshots that run, from before it is asked until all of its answers are there. */
export interface OrphanSearch {
  /** What has been driven here to its end since: the store may have answered before that. */
  readonly ended: Set<string>;
}

/** How the store answered the creation of a document. `other`: one with the same idempotency key was there. */
export type CreationAnswer = "created" | "exists" | "other" | "fenced" | "unknown";

/**
 * What one replica leads: its lease, and the snapshots that it drives in the time of one term. `Session` is whatever the
 * shell drives a snapshot with. Nothing here knows the time; callers give it.
 */
export class Lead<Session> {
  readonly lease: LeaseState;
  readonly #policy: SnapshotPolicy;
  readonly #sessions = new Map<string, Session>();
  /** Ids whose document is being created: they count as running. */
  readonly #starting = new Set<string>();
  readonly #searches = new Set<OrphanSearch>();
  #hasLed = false;
  /** After a take-over: when the agents have had time to come back. */
  #settledAtMs = 0;
  #lastCreatedAtMs: number | undefined;
  #lastStartMs: number | undefined;

  constructor(leaseMs: number, policy: SnapshotPolicy) {
    this.lease = createLeaseState(leaseMs);
    this.#policy = policy;
  }

  term(nowMs: number): number | undefined {
    return leadingTerm(this.lease, nowMs);
  }

  /** No directory is sent and no attempt starts before. */
  get settledAtMs(): number {
    return this.#settledAtMs;
  }

  get running(): number {
    return this.#sessions.size + this.#starting.size;
  }

  /** Those that are driven now; a copy. */
  sessions(): Session[] {
    return [...this.#sessions.values()];
  }

  find(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** As `find`, but once the lease has run out, only the store knows how a snapshot stands (I4). */
  driven(id: string, nowMs: number): Session | undefined {
    return this.term(nowMs) === undefined ? undefined : this.#sessions.get(id);
  }

  /** It is driven here, or about to be: nothing of it is taken over or removed. */
  isLive(id: string): boolean {
    return this.#sessions.has(id) || this.#starting.has(id);
  }

  open(id: string, session: Session): void {
    this.#sessions.set(id, session);
  }

  ended(id: string, session: Session): void {
    if (this.#sessions.get(id) !== session) return;
    this.#sessions.delete(id);
    for (const { ended } of this.#searches) ended.add(id);
  }

  // Starting

  /** Why none may start now. `undefined`: one may. */
  refusal(
    initiator: ProcessId,
    attached: ReadonlySet<ProcessId>,
    limits: AdmissionLimits,
    nowMs: number,
  ): StartRefusal | undefined {
    const facts = { term: this.term(nowMs), running: this.running, lastStartMs: this.#lastStartMs, nowMs, attached };
    return startRefusal(initiator, facts, limits);
  }

  /** Lists and retention go by the time of creation: of two snapshots, the later one is the newer one. */
  creationMs(nowMs: number): number {
    this.#lastCreatedAtMs = Math.max(nowMs, (this.#lastCreatedAtMs ?? 0) + 1);
    return this.#lastCreatedAtMs;
  }

  /** The document is on its way to the store; `created` tells the answer. */
  create(spec: SnapshotSpec, term: number, nowMs: number): Creation {
    const creation = { state: createSnapshotState(spec, this.#policy), term, lastStartMs: this.#lastStartMs };
    this.#lastStartMs = nowMs;
    this.#starting.add(spec.id);
    return creation;
  }

  /** `open`: it is to be driven. `notLeading`: the next leader finds it, if it was written at all. */
  created(
    { state, term, lastStartMs }: Creation,
    answer: CreationAnswer,
    nowMs: number,
  ): "open" | "existing" | "notLeading" | "unknown" {
    this.#starting.delete(state.spec.id);
    if (answer === "unknown") return "unknown";
    if (answer === "fenced" || this.term(nowMs) !== term) return "notLeading";
    if (answer !== "other") return "open";
    this.#lastStartMs = lastStartMs;
    return "existing";
  }

  // Taking over

  /** The lease was granted: the agents of the leader before have until then to come back. */
  gain(nowMs: number, settleMs: number): void {
    this.#settledAtMs = nowMs + settleMs;
  }

  /** To be called before the store is asked; `adopt` or `giveUp` ends it. */
  search(): OrphanSearch {
    const search = { ended: new Set<string>() };
    this.#searches.add(search);
    return search;
  }

  giveUp(search: OrphanSearch): void {
    this.#searches.delete(search);
  }

  /**
   * Level-based: of the documents that the search has read, those that run and that nobody here drives are to be driven, or failed.
   * `passedOver`: they may be another leader's, since the store was asked, or since this replica stood still and has not seen
   * it yet (I9).
   */
  adopt(
    search: OrphanSearch,
    term: number,
    found: readonly StoredSnapshot[],
    nowMs: number,
  ): SnapshotState[] | "passedOver" {
    this.giveUp(search);
    const orphans = found.filter(
      ({ spec, phase }) => !isLastPhase(phase) && !this.isLive(spec.id) && !search.ended.has(spec.id),
    );
    if (!holdsLease(this.lease, term, nowMs) || orphans.some((orphan) => orphan.term > term)) return "passedOver";
    return orphans.map(({ spec, inherited }) => restoreSnapshotState(spec, this.#policy, inherited, nowMs));
  }

  /** The first input of a snapshot that is driven from now on. */
  beginning(processes: readonly RosterProcess[]): SnapshotHappening {
    return { type: "begin", processes, notBeforeMs: this.#settledAtMs };
  }

  /** A store that knows of no leader before may have lost its data: what this program and the snapshots say counts too. */
  taken(succession: LeaseSuccession): void {
    if (succession === "first" && !this.#hasLed && this.#sessions.size === 0) this.#settledAtMs = 0;
    this.#hasLed = true;
  }

  /** The term is over: these are stopped, and another leader has them. */
  lose(): Session[] {
    const sessions = this.sessions();
    this.#sessions.clear();
    return sessions;
  }
}

/** A snapshot whose document is being created. */
export interface Creation {
  readonly state: SnapshotState;
  readonly term: number;
  /** Before this one. */
  readonly lastStartMs: number | undefined;
}
