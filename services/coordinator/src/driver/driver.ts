import type { EndSnapshot, StartSnapshot } from "@cutline/proto/control";
import type { Snapshot, SnapshotRef } from "@cutline/proto/snapshot";
import {
  createSnapshotState,
  documentOf,
  type EndOutcome,
  restoreSnapshotState,
  runningFor,
  type SnapshotHappening,
  type SnapshotPolicy,
  type SnapshotSpec,
  type SnapshotState,
} from "@cutline/protocol";
import { describeError, type Logger, type Metrics } from "@cutline/runtime";
import type { KnownProcess } from "../agents/directory.ts";
import type { AgentEvents, PartOffer } from "../agents/port.ts";
import type { Snapshots, StartOutcome, StartRequest } from "../snapshots.ts";
import { type ListPage, type ListQuery, type Store, StoreError, type Succession } from "../store/port.ts";
import { refusalOf } from "./admission.ts";
import { inherit, isTerminal, toSnapshot } from "./documents.ts";
import { IdempotencyKeys } from "./idempotency.ts";
import { newSnapshotId } from "./ids.ts";
import { fenced, Leadership } from "./leadership.ts";
import type { DriverLimits } from "./limits.ts";
import { type DriverMetrics, driverMetrics } from "./metrics.ts";
import { removeOld } from "./retention.ts";
import { Session } from "./session.ts";
import { findOrphans } from "./takeover.ts";
import { topologyOf } from "./topology.ts";
import { Uploads } from "./uploads.ts";

/** The agents, as far as the driver needs them. */
export interface AgentsPort {
  readonly directory: { list(): readonly KnownProcess[] };
  /** The directory is kept back until `settledAtMs`. */
  lead(settledAtMs: number): void;
  dismiss(details: string): void;
  send(processId: string, body: { $case: "start"; value: StartSnapshot }): void;
  sendAll(body: { $case: "end"; value: EndSnapshot }): void;
}

export interface DriverOptions {
  readonly store: Store;
  /** This program's name among the replicas, unique at every start. */
  readonly holder: string;
  readonly limits: DriverLimits;
  readonly policy: SnapshotPolicy;
  readonly nowMs: () => number;
  readonly logger: Logger;
  readonly metrics?: Metrics | undefined;
}

/** Drives all snapshots while this replica leads. */
export class Driver implements Snapshots, AgentEvents {
  readonly #options: DriverOptions;
  readonly #leadership: Leadership;
  readonly #sessions = new Map<string, Session>();
  /** Ids whose document is being created: they count as running. */
  readonly #starting = new Set<string>();
  readonly #keys = new IdempotencyKeys();
  readonly #metrics: DriverMetrics;
  readonly #uploads: Uploads;
  #agents: AgentsPort | undefined;
  #hasLed = false;
  /** After a take-over: when the agents have had time to come back. */
  #settledAtMs = 0;
  #lastCreatedAtMs: number | undefined;
  #lastStartMs: number | undefined;
  #tickTimer: NodeJS.Timeout | undefined;
  #housekeepingTimer: NodeJS.Timeout | undefined;
  #housekeeping: Promise<void> = Promise.resolve();

  constructor(options: DriverOptions) {
    const { store, holder, limits, nowMs, logger, metrics } = options;
    this.#options = options;
    this.#leadership = new Leadership({
      store,
      holder,
      leaseMs: limits.leaseMs,
      nowMs,
      logger,
      onGained: (term, succession) => this.#gain(term, succession),
      onLost: () => this.#lose(),
    });
    this.#metrics = driverMetrics(metrics, {
      agents: () => this.#agents?.directory.list().length ?? 0,
      running: () => this.#sessions.size,
      leading: () => this.term() !== undefined,
    });
    this.#uploads = new Uploads({ store, limits, nowMs, metrics: this.#metrics });
  }

  /** Agents and driver know each other; the driver is made first. */
  connect(agents: AgentsPort): void {
    this.#agents = agents;
  }

  async begin(): Promise<void> {
    const { tickMs, housekeepingMs } = this.#options.limits;
    await this.#leadership.start();
    this.#tickTimer = setInterval(() => this.#tell({ type: "tick" }), tickMs);
    this.#housekeepingTimer = setInterval(() => this.#housekeep(), housekeepingMs);
  }

  /** Running snapshots are left as they stand in the store; the next leader takes them over. */
  async end(): Promise<void> {
    clearInterval(this.#tickTimer);
    clearInterval(this.#housekeepingTimer);
    const sessions = [...this.#sessions.values()];
    await this.#housekeeping;
    await Promise.all(sessions.map((session) => session.stop()));
    await this.#leadership.stop();
  }

  term(): number | undefined {
    return this.#leadership.term();
  }

  // Snapshots

  async start(request: StartRequest): Promise<StartOutcome> {
    const key = request.idempotencyKey ?? "";
    return await this.#keys.once(key, () => this.#start(request, key));
  }

  async #start(request: StartRequest, key: string): Promise<StartOutcome> {
    const { limits, nowMs, store } = this.#options;
    const knownId = this.#keys.find(key);
    const known = knownId === undefined ? undefined : await this.get(knownId);
    if (known !== undefined) return { outcome: "existing", snapshot: known };
    const term = this.term();
    const refusal = refusalOf(request, this.#admissionFacts(term), limits);
    if (refusal !== undefined || term === undefined) {
      if (refusal === undefined) throw fenced();
      this.#options.logger.info({ code: refusal.code, reason: refusal.message }, "snapshot refused");
      return refusal;
    }
    const state = createSnapshotState(this.#specOf(request), this.#options.policy);
    const { id } = state.spec;
    const before = this.#lastStartMs;
    this.#lastStartMs = nowMs();
    this.#starting.add(id);
    try {
      const created = await store.create(term, toSnapshot(documentOf(state), term));
      if (created.outcome === "fenced" || this.term() !== term) {
        return { outcome: "refused", code: "NotLeading", message: "this coordinator has just lost its lead" };
      }
      if (created.outcome === "exists" && created.snapshot.id !== id) {
        this.#lastStartMs = before;
        this.#keys.remember(key, created.snapshot.id);
        return { outcome: "existing", snapshot: this.#live(created.snapshot) };
      }
      this.#keys.remember(key, id);
      const session = this.#open(state, term);
      this.#options.logger.info({ snapshotId: id, timeoutMs: state.spec.timeoutMs }, "snapshot accepted");
      session.apply({ type: "begin", processes: this.#roster(), notBeforeMs: this.#settledAtMs });
      return { outcome: "accepted", snapshot: session.snapshot() };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#options.logger.warn({ snapshotId: id, error }, "snapshot not created");
      const message = `the store did not take the snapshot: ${describeError(error)}`;
      return { outcome: "refused", code: "StoreUnavailable", message, retryAfterMs: 1_000 };
    } finally {
      this.#starting.delete(id);
    }
  }

  async get(id: string): Promise<Snapshot | undefined> {
    return this.#driven(id) ?? (await this.#options.store.get(id));
  }

  async list(query: ListQuery): Promise<ListPage> {
    const page = await this.#options.store.list(query);
    return { ...page, snapshots: page.snapshots.map((snapshot) => this.#live(snapshot)) };
  }

  async abort(id: string): ReturnType<Snapshots["abort"]> {
    this.#requireTerm();
    const session = this.#sessions.get(id) ?? (await this.#adoptAndFind(id));
    if (session === undefined) {
      const stored = await this.#options.store.get(id);
      return { outcome: stored === undefined ? "missing" : "ended" };
    }
    // Its last word is on its way to the store: that was another request, or another end.
    if (session.state.end !== undefined) return { outcome: "ended" };
    session.apply({ type: "abort", message: "aborted on request" });
    const snapshot = session.snapshot();
    return snapshot.phase === "Aborted" ? { outcome: "aborted", snapshot } : { outcome: "ended" };
  }

  async remove(id: string): Promise<"removed" | "missing" | "running"> {
    const term = this.#requireTerm();
    if (this.#isLive(id) || (await this.#adoptAndFind(id)) !== undefined) return "running";
    const outcome = await this.#options.store.remove(term, id);
    if (outcome === "fenced") throw fenced();
    return outcome;
  }

  topology(): ReturnType<Snapshots["topology"]> {
    return topologyOf(this.term() ?? 0, this.#agents?.directory.list() ?? []);
  }

  async readiness(): ReturnType<Snapshots["readiness"]> {
    const reasons: string[] = [];
    if (this.term() === undefined) reasons.push("this replica does not lead");
    try {
      await this.#options.store.ping();
    } catch (error) {
      reasons.push(`the store does not answer: ${describeError(error)}`);
    }
    return reasons.length === 0 ? { outcome: "ready" } : { outcome: "notReady", reasons };
  }

  // AgentEvents

  attached(process: Parameters<AgentEvents["attached"]>[0]): void {
    this.#tell({ type: "attached", process });
  }

  detached(processId: string, incarnation: string): void {
    this.#tell({ type: "detached", processId, incarnation });
  }

  left(processId: string, incarnation: string): void {
    this.#tell({ type: "left", processId, incarnation });
  }

  timePassed(): void {
    this.#tell({ type: "tick" });
  }

  cut(...[processId, incarnation, ref, report]: Parameters<AgentEvents["cut"]>): void {
    this.#sessions.get(ref.snapshotId)?.apply({ type: "cut", processId, incarnation, ref, report });
  }

  channel(...[processId, incarnation, ref, report]: Parameters<AgentEvents["channel"]>): void {
    this.#sessions.get(ref.snapshotId)?.apply({ type: "channel", processId, incarnation, ref, report });
  }

  captureFailed(...[processId, incarnation, ref, reason]: Parameters<AgentEvents["captureFailed"]>): void {
    this.#sessions.get(ref.snapshotId)?.apply({ type: "captureFailed", processId, incarnation, ref, reason });
  }

  running(processId: string, incarnation: string): StartSnapshot[] {
    return [...this.#sessions.values()].flatMap(({ state }) => runningFor(state, processId, incarnation) ?? []);
  }

  async endOf(ref: SnapshotRef): Promise<EndSnapshot> {
    const stored = this.#sessions.has(ref.snapshotId) ? undefined : await this.#options.store.get(ref.snapshotId);
    return stored !== undefined && isTerminal(stored) && stored.attempt === ref.attempt
      ? { ref, phase: stored.phase, reason: stored.reason }
      : { ref, phase: "Failed", reason: "AttemptOver" };
  }

  admit(offer: PartOffer): ReturnType<AgentEvents["admit"]> {
    return this.#uploads.admit(this.term(), this.#sessions.get(offer.ref.snapshotId), offer);
  }

  // Leading

  /** A store that knows of no leader before may have lost its data: what this program and the snapshots say counts too. */
  async #gain(term: number, succession: Succession): Promise<void> {
    const { nowMs, limits } = this.#options;
    this.#settledAtMs = nowMs() + limits.settleMs;
    await this.#adopt(term);
    if (succession === "first" && !this.#hasLed && this.#sessions.size === 0) this.#settledAtMs = 0;
    this.#hasLed = true;
    this.#agents?.lead(this.#settledAtMs);
  }

  #lose(): void {
    for (const session of this.#sessions.values()) void session.stop();
    this.#sessions.clear();
    this.#agents?.dismiss("this coordinator does not lead any more");
  }

  /** Level-based: whatever the store says runs is driven here, or failed. */
  async #adopt(term: number): Promise<void> {
    const { store, policy, nowMs, logger } = this.#options;
    const orphans = await findOrphans(store, (id) => this.#isLive(id));
    // They may be another leader's: since the store was asked, or since this one stood still and has not seen it yet (I9).
    if (!this.#leadership.holds(term) || orphans.some((snapshot) => snapshot.term > term)) throw fenced();
    for (const snapshot of orphans) {
      if (this.#isLive(snapshot.id)) continue;
      const { spec, inherited } = inherit(snapshot, nowMs());
      logger.warn({ snapshotId: spec.id, phase: snapshot.phase, attempt: snapshot.attempt }, "snapshot taken over");
      const session = this.#open(restoreSnapshotState(spec, policy, inherited, nowMs()), term);
      session.apply({ type: "begin", processes: this.#roster(), notBeforeMs: this.#settledAtMs });
    }
  }

  async #adoptAndFind(id: string): Promise<Session | undefined> {
    await this.#adopt(this.#requireTerm());
    return this.#sessions.get(id);
  }

  #housekeep(): void {
    this.#housekeeping = this.#housekeeping.then(async () => {
      const { store, limits, nowMs, logger } = this.#options;
      const term = this.term();
      if (term === undefined) return;
      try {
        await this.#adopt(term);
        await removeOld(store, term, limits, nowMs(), logger);
      } catch (error) {
        logger.warn({ error }, "housekeeping failed; it is tried again");
      }
    });
  }

  #open(state: SnapshotState, term: number): Session {
    const { store, limits, nowMs, logger } = this.#options;
    const session = new Session({
      state,
      term,
      store,
      progressMs: limits.progressMs,
      nowMs,
      logger,
      metrics: this.#metrics,
      sendStart: (processId, value) => this.#agents?.send(processId, { $case: "start", value }),
      sendEnd: (value) => this.#agents?.sendAll({ $case: "end", value }),
      onEnded: (ended, outcome) => this.#ended(ended, outcome),
    });
    this.#sessions.set(session.id, session);
    return session;
  }

  #ended(session: Session, outcome: EndOutcome): void {
    if (this.#sessions.get(session.id) === session) this.#sessions.delete(session.id);
    this.#metrics.ended(outcome, session.state.nowMs - session.state.spec.createdAtMs);
  }

  #tell(happening: SnapshotHappening): void {
    for (const session of [...this.#sessions.values()]) session.apply(happening);
  }

  // What is known

  #admissionFacts(term: number | undefined) {
    return {
      term,
      running: this.#sessions.size + this.#starting.size,
      lastStartMs: this.#lastStartMs,
      nowMs: this.#options.nowMs(),
      processes: this.#agents?.directory.list() ?? [],
    };
  }

  #specOf(request: StartRequest): SnapshotSpec {
    const { limits, nowMs } = this.#options;
    // Lists and retention go by this time: of two snapshots, the later one is the newer one.
    const createdAtMs = Math.max(nowMs(), (this.#lastCreatedAtMs ?? 0) + 1);
    this.#lastCreatedAtMs = createdAtMs;
    return {
      id: newSnapshotId(createdAtMs),
      createdAtMs,
      timeoutMs: Math.min(request.timeoutMs ?? limits.timeoutMsDefault, limits.timeoutMsMax),
      attemptsMax: Math.min(request.attempts ?? limits.attemptsDefault, limits.attemptsMax),
      labels: request.labels ?? {},
      initiator: request.initiator ?? "",
      scope: request.scope,
      idempotencyKey: request.idempotencyKey ?? "",
    };
  }

  #roster() {
    return (this.#agents?.directory.list() ?? []).map(({ hello, detachedAtMs }) => ({
      id: hello.processId,
      incarnation: hello.incarnation,
      captureSource: hello.captureSource,
      labels: hello.labels,
      ...(detachedAtMs === undefined ? {} : { detachedAtMs }),
    }));
  }

  #isLive(id: string): boolean {
    return this.#sessions.has(id) || this.#starting.has(id);
  }

  #live(stored: Snapshot): Snapshot {
    return this.#driven(stored.id) ?? stored;
  }

  /** Once the lease has run out, only the store knows how a snapshot stands (I4). */
  #driven(id: string): Snapshot | undefined {
    return this.term() === undefined ? undefined : this.#sessions.get(id)?.snapshot();
  }

  #requireTerm(): number {
    const term = this.term();
    if (term === undefined) throw fenced();
    return term;
  }
}
