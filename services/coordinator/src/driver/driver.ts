import type { AgentHello, EndSnapshot, StartSnapshot } from "@cutline/proto/control";
import type { Snapshot, SnapshotRef } from "@cutline/proto/snapshot";
import {
  documentOf,
  type EndOutcome,
  endOfAttempt,
  isLastPhase,
  Lead,
  type LeaseSuccession,
  runningFor,
  type SnapshotHappening,
  type SnapshotPolicy,
  type SnapshotSpec,
  type SnapshotState,
} from "@cutline/protocol";
import { describeError, type Logger, type Metrics } from "@cutline/runtime";
import type { AgentEvents, KnownAgent, NamingStanding, PartOffer } from "../agents/port.ts";
import type { Snapshots, StartOutcome, StartRequest } from "../snapshots.ts";
import { type CreateOutcome, type ListPage, type ListQuery, type Store, StoreError } from "../store/port.ts";
import { inherit, toSnapshot } from "./documents.ts";
import { IdempotencyKeys } from "./idempotency.ts";
import { newSnapshotId } from "./ids.ts";
import { fenced, Leadership } from "./leadership.ts";
import type { DriverLimits } from "./limits.ts";
import { type DriverMetrics, driverMetrics } from "./metrics.ts";
import { removeOld } from "./retention.ts";
import { Session } from "./session.ts";
import { findRunning } from "./takeover.ts";
import { topologyOf } from "./topology.ts";
import { Uploads } from "./uploads.ts";

/** The agents, as far as the driver needs them. */
export interface AgentsPort {
  readonly directory: { list(): readonly KnownAgent[]; attached(): ReadonlySet<string> };
  authoritiesOf(hello: AgentHello): readonly string[];
  namingStanding(): NamingStanding | undefined;
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
  /** What decides whether this replica leads, and what it drives. */
  readonly #lead: Lead<Session>;
  readonly #leadership: Leadership;
  readonly #keys = new IdempotencyKeys();
  readonly #metrics: DriverMetrics;
  readonly #uploads: Uploads;
  #agents: AgentsPort | undefined;
  #tickTimer: NodeJS.Timeout | undefined;
  #housekeepingTimer: NodeJS.Timeout | undefined;
  #housekeeping: Promise<void> = Promise.resolve();

  constructor(options: DriverOptions) {
    const { store, holder, limits, nowMs, logger, metrics } = options;
    this.#options = options;
    this.#lead = new Lead(limits.leaseMs, options.policy);
    this.#leadership = new Leadership({
      lease: this.#lead.lease,
      store,
      holder,
      nowMs,
      logger,
      onGained: (term, succession) => this.#gain(term, succession),
      onLost: () => this.#lose(),
    });
    this.#metrics = driverMetrics(metrics, {
      agents: () => this.#agents?.directory.list().length ?? 0,
      running: () => this.#lead.sessions().length,
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
    const sessions = this.#lead.sessions();
    await this.#housekeeping;
    await Promise.all(sessions.map((session) => session.stop()));
    await this.#leadership.stop();
  }

  term(): number | undefined {
    return this.#lead.term(this.#options.nowMs());
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
    const attached = this.#agents?.directory.attached() ?? new Set();
    const refusal = this.#lead.refusal(request.initiator ?? "", attached, limits, nowMs());
    if (refusal !== undefined || term === undefined) {
      if (refusal === undefined) throw fenced();
      this.#options.logger.info({ code: refusal.code, reason: refusal.message }, "snapshot refused");
      return { outcome: "refused", ...refusal };
    }
    const spec = this.#specOf(request);
    const { id } = spec;
    const creation = this.#lead.create(spec, term, nowMs());
    let answer: CreateOutcome;
    try {
      answer = await store.create(term, toSnapshot(documentOf(creation.state), term));
    } catch (error) {
      this.#lead.created(creation, "unknown", nowMs());
      if (!(error instanceof StoreError)) throw error;
      this.#options.logger.warn({ snapshotId: id, error }, "snapshot not created");
      const message = `the store did not take the snapshot: ${describeError(error)}`;
      return { outcome: "refused", code: "StoreUnavailable", message, retryAfterMs: 1_000 };
    }
    const found = answer.outcome === "exists" ? answer.snapshot : undefined;
    const other = found !== undefined && found.id !== id;
    if (this.#lead.created(creation, other ? "other" : answer.outcome, nowMs()) === "notLeading") {
      return { outcome: "refused", code: "NotLeading", message: "this coordinator has just lost its lead" };
    }
    this.#keys.remember(key, found?.id ?? id);
    if (other) return { outcome: "existing", snapshot: this.#live(found) };
    this.#options.logger.info({ snapshotId: id, timeoutMs: spec.timeoutMs }, "snapshot accepted");
    return { outcome: "accepted", snapshot: this.#open(creation.state, term).snapshot() };
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
    const session = this.#lead.find(id) ?? (await this.#adoptAndFind(id));
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
    const session = this.#lead.find(id) ?? (await this.#adoptAndFind(id));
    // Failed and Aborted are said before the store has them: who has read that may remove at once.
    const hasEnded = session !== undefined && isLastPhase(session.snapshot().phase);
    if (hasEnded) await session.over(this.#options.limits.removeWaitMs);
    const term = this.#requireTerm();
    if (hasEnded && this.#lead.isLive(id)) {
      throw new StoreError("StoreTimeout", `the store has not taken the end of snapshot ${id} yet; try again`);
    }
    if (this.#lead.isLive(id)) return "running";
    const outcome = await this.#options.store.remove(term, id);
    if (outcome === "fenced") throw fenced();
    return outcome;
  }

  topology(): ReturnType<Snapshots["topology"]> {
    const agents = this.#agents;
    if (agents === undefined) return topologyOf(this.term() ?? 0, [], () => [], undefined);
    const authoritiesOf = (hello: AgentHello) => agents.authoritiesOf(hello);
    return topologyOf(this.term() ?? 0, agents.directory.list(), authoritiesOf, agents.namingStanding());
  }

  async readiness(): ReturnType<Snapshots["readiness"]> {
    const reasons = this.term() === undefined ? ["this replica does not lead"] : [];
    try {
      await this.#options.store.ping();
    } catch (error) {
      return { outcome: "notReady", reasons: [...reasons, `the store does not answer: ${describeError(error)}`] };
    }
    return reasons.length === 0 ? { outcome: "ready" } : { outcome: "standby", reasons };
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
    this.#lead.find(ref.snapshotId)?.apply({ type: "cut", processId, incarnation, ref, report });
  }

  channel(...[processId, incarnation, ref, report]: Parameters<AgentEvents["channel"]>): void {
    this.#lead.find(ref.snapshotId)?.apply({ type: "channel", processId, incarnation, ref, report });
  }

  captureFailed(...[processId, incarnation, ref, reason]: Parameters<AgentEvents["captureFailed"]>): void {
    this.#lead.find(ref.snapshotId)?.apply({ type: "captureFailed", processId, incarnation, ref, reason });
  }

  running(processId: string, incarnation: string): StartSnapshot[] {
    return this.#lead.sessions().flatMap(({ state }) => runningFor(state, processId, incarnation) ?? []);
  }

  async endOf(ref: SnapshotRef): Promise<EndSnapshot> {
    const driven = this.#lead.find(ref.snapshotId) !== undefined;
    const stored = driven ? undefined : await this.#options.store.get(ref.snapshotId);
    return { ref, ...endOfAttempt(ref, stored) };
  }

  admit(offer: PartOffer): ReturnType<AgentEvents["admit"]> {
    return this.#uploads.admit(this.term(), this.#lead.find(offer.ref.snapshotId), offer);
  }

  // Leading

  async #gain(term: number, succession: LeaseSuccession): Promise<void> {
    const { nowMs, limits } = this.#options;
    this.#lead.gain(nowMs(), limits.settleMs);
    await this.#adopt(term);
    this.#lead.taken(succession);
    this.#agents?.lead(this.#lead.settledAtMs);
  }

  #lose(): void {
    for (const session of this.#lead.lose()) void session.stop();
    this.#agents?.dismiss("this coordinator does not lead any more");
  }

  async #adopt(term: number): Promise<void> {
    const { store, nowMs, logger } = this.#options;
    const search = this.#lead.search();
    const found = await findRunning(store, (id) => this.#lead.isLive(id)).catch((error) => {
      this.#lead.giveUp(search);
      throw error;
    });
    const adopted = this.#lead.adopt(
      search,
      term,
      found.map((snapshot) => inherit(snapshot, nowMs())),
      nowMs(),
    );
    if (adopted === "passedOver") throw fenced();
    for (const state of adopted) {
      logger.warn({ snapshotId: state.spec.id, attempt: state.attempt }, "snapshot taken over");
      this.#open(state, term);
    }
  }

  async #adoptAndFind(id: string): Promise<Session | undefined> {
    await this.#adopt(this.#requireTerm());
    return this.#lead.find(id);
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
    this.#lead.open(session.id, session);
    session.apply(this.#lead.beginning(this.#roster()));
    return session;
  }

  #ended(session: Session, outcome: EndOutcome): void {
    this.#lead.ended(session.id, session);
    this.#metrics.ended(outcome, session.state.nowMs - session.state.spec.createdAtMs);
  }

  #tell(happening: SnapshotHappening): void {
    for (const session of this.#lead.sessions()) session.apply(happening);
  }

  // What is known

  #specOf(request: StartRequest): SnapshotSpec {
    const { limits, nowMs } = this.#options;
    const createdAtMs = this.#lead.creationMs(nowMs());
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

  #live(stored: Snapshot): Snapshot {
    return this.#driven(stored.id) ?? stored;
  }

  #driven(id: string): Snapshot | undefined {
    return this.#lead.driven(id, this.#options.nowMs())?.snapshot();
  }

  #requireTerm(): number {
    const term = this.term();
    if (term === undefined) throw fenced();
    return term;
  }
}
