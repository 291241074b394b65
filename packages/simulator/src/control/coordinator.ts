import {
  createSnapshotState,
  type Inheritance,
  type RosterProcess,
  restoreSnapshotState,
  runningFor,
  type SnapshotHappening,
  type SnapshotPolicy,
  type SnapshotSpec,
  type SnapshotState,
} from "@cutline/protocol";
import type { Connection } from "../data/connection.ts";
import type { Peer } from "../data/wire.ts";
import type { LocalClock } from "../engine/local-clock.ts";
import type { World } from "../world.ts";
import { Host } from "./host.ts";
import { Leadership } from "./leadership.ts";
import type { ControlMessage, PartOffer, UploadOutcome } from "./messages.ts";
import { Session } from "./session.ts";
import { isTerminal, type StoredDocument } from "./store.ts";
import { admitPart } from "./uploads.ts";

interface Stream {
  readonly self: Peer;
  readonly connection: Connection<ControlMessage>;
}

interface KnownProcess {
  readonly self: Peer;
  detachedAtMs: number | undefined;
}

export interface CoordinatorLimits {
  readonly leaseMs: number;
  readonly tickMs: number;
  readonly housekeepingMs: number;
  readonly graceMs: number;
  readonly directorySettleMs: number;
}

/** One replica: agents' streams, leadership, and a session for each snapshot, as services/coordinator/src. */
export class Coordinator {
  readonly name: string;
  readonly clock: LocalClock;
  readonly #world: World;
  readonly #limits: CoordinatorLimits;
  readonly #policy: SnapshotPolicy;
  readonly #sessions = new Map<string, Session>();
  /** Ids whose document is being created. */
  readonly #starting = new Set<string>();
  readonly #streams = new Map<string, Stream>();
  readonly #directory = new Map<string, KnownProcess>();
  #host: Host;
  #leadership: Leadership;
  #lives = 0;
  #changes = 0;
  #pushedChanges = 0;
  #pushScheduled = false;
  #settledAtMs = 0;

  constructor(world: World, name: string, clock: LocalClock, limits: CoordinatorLimits, policy: SnapshotPolicy) {
    this.name = name;
    this.clock = clock;
    this.#world = world;
    this.#limits = limits;
    this.#policy = policy;
    this.#host = new Host(name, clock);
    this.#leadership = this.#begin();
  }

  get leads(): boolean {
    return !this.#host.over && this.#leadership.term() !== undefined;
  }

  get running(): number {
    return this.#sessions.size;
  }

  crash(): void {
    this.#host.end();
    for (const { connection } of this.#streams.values()) connection.close(1);
    this.#streams.clear();
    this.#sessions.clear();
    this.#starting.clear();
    this.#directory.clear();
  }

  restart(): void {
    if (this.#host.over) this.#leadership = this.#begin();
  }

  pause(): void {
    this.#host.pause();
  }

  goOn(): void {
    this.#host.goOn();
  }

  /** `refused`: another replica may take it. */
  start(spec: Omit<SnapshotSpec, "createdAtMs">, completesBy: number): "taken" | "refused" {
    const term = this.#leadership.term();
    if (this.#host.over || term === undefined || this.#sessions.size >= 6) return "refused";
    if (![...this.#directory.values()].some(({ detachedAtMs }) => detachedAtMs === undefined)) return "refused";
    const state = createSnapshotState({ ...spec, createdAtMs: this.#host.nowMs }, this.#policy);
    this.#world.asked(spec.id, completesBy);
    this.#starting.add(spec.id);
    const answer = this.#host.answer((outcome: string) => {
      this.#starting.delete(spec.id);
      if ((outcome !== "created" && outcome !== "exists") || this.#leadership.term() !== term) return;
      if (this.#sessions.has(spec.id)) return;
      this.#open(state, term).apply({ type: "begin", processes: this.#roster() });
    });
    this.#world.store.create(term, this.#world.firstDocument(state), answer);
    return "taken";
  }

  abort(id: string): void {
    if (!this.#host.over) this.#sessions.get(id)?.apply({ type: "abort", message: "aborted on request" });
  }

  /** An agent dials. */
  accept(connection: Connection<ControlMessage>): void {
    const host = this.#host;
    let stream: Stream | undefined;
    if (host.over) {
      connection.close(1);
      return;
    }
    connection.bind(1, {
      onFrame: (message) =>
        host.run(() => {
          if (stream !== undefined) this.#received(stream, message);
          else if (message.type === "hello") stream = this.#opened(message, connection);
        }),
      onClosed: () =>
        host.run(() => {
          if (stream !== undefined) this.#broken(stream);
        }),
    });
  }

  /** One try to have a part stored. */
  receivePart(offer: PartOffer, answer: (outcome: UploadOutcome) => void): void {
    const host = this.#host;
    host.run(() => {
      const session = this.#sessions.get(offer.ref.snapshotId);
      admitPart({ term: this.#leadership.term(), session, host, store: this.#world.store }, offer, answer);
    });
  }

  #begin(): Leadership {
    this.#lives += 1;
    const host = new Host(`${this.name}#${this.#lives}`, this.clock);
    this.#host = host;
    const leadership = new Leadership(host, this.#world.store, this.#limits.leaseMs, {
      onGained: (term, done) => this.#gain(term, done),
      onLost: () => this.#lose(),
    });
    leadership.run();
    const every = (delayMs: number, action: () => void) => {
      host.after(delayMs, () => {
        action();
        every(delayMs, action);
      });
    };
    every(this.#limits.tickMs, () => this.#tell({ type: "tick" }));
    every(this.#limits.graceMs / 4, () => this.#expire());
    every(this.#limits.housekeepingMs, () => {
      const term = this.#leadership.term();
      if (term !== undefined) this.#adopt(term, () => undefined);
    });
    return leadership;
  }

  #gain(term: number, done: (outcome: "taken" | "failed") => void): void {
    this.#adopt(term, (outcome) => {
      if (outcome === "taken") {
        this.#directory.clear();
        this.#changes = 0;
        this.#pushedChanges = 0;
        this.#settledAtMs = this.#host.nowMs + (term > 1 ? this.#limits.directorySettleMs : 0);
        this.#host.after(this.#limits.directorySettleMs, () => this.#pushSoon());
      }
      done(outcome);
    });
  }

  #lose(): void {
    for (const session of this.#sessions.values()) session.stop();
    this.#sessions.clear();
    for (const { connection } of this.#streams.values()) connection.close(1);
    this.#streams.clear();
    this.#directory.clear();
  }

  /** Whatever the store says runs is driven here, or failed. */
  #adopt(term: number, done: (outcome: "taken" | "failed") => void): void {
    const { store } = this.#world;
    const found = this.#host.answer((ids: readonly string[] | "unknown") => {
      if (ids === "unknown") {
        done("failed");
        return;
      }
      const orphans = ids.filter((id) => !this.#isLive(id));
      const next = (): void => {
        const id = orphans.shift();
        if (id === undefined) {
          done("taken");
          return;
        }
        const read = this.#host.answer((stored: StoredDocument | undefined | "unknown") => {
          if (stored === "unknown" || !this.#leadership.holds(term)) {
            done("failed");
            return;
          }
          if (stored !== undefined && !isTerminal(stored.document.phase) && !this.#isLive(id)) {
            this.#takeOver(stored, term);
          }
          next();
        });
        store.get(id, read);
      };
      next();
    });
    store.listRunning(found);
  }

  #isLive(id: string): boolean {
    return this.#sessions.has(id) || this.#starting.has(id);
  }

  #takeOver({ document }: StoredDocument, term: number): void {
    const { spec, attempt, startedAtMs, earlierAttempts, processes } = document;
    const inherited: Inheritance = {
      attempt: Math.max(1, attempt),
      startedAtMs,
      earlierAttempts,
      processes: processes.map(({ id, incarnation, captureSource }) => ({
        id,
        incarnation,
        captureSource,
        labels: {},
      })),
    };
    const state = restoreSnapshotState(spec, this.#policy, inherited, this.#host.nowMs);
    this.#open(state, term).apply({ type: "begin", processes: this.#roster() });
  }

  #open(state: SnapshotState, term: number): Session {
    const session = new Session(state, term, this.#host, this.#world.store, {
      sendStart: (process, start) => {
        this.#world.started(start.ref, term);
        this.#send(process, { type: "start", start });
      },
      sendEnd: (ref, phase) => {
        this.#world.told(this.name, ref, phase);
        for (const process of this.#streams.keys()) this.#send(process, { type: "end", ref, phase });
      },
      onEnded: (ended, outcome) => {
        if (this.#sessions.get(ended.id) === ended) this.#sessions.delete(ended.id);
        this.#world.statistics.ended[outcome] += 1;
      },
    });
    this.#sessions.set(session.id, session);
    return session;
  }

  #tell(happening: SnapshotHappening): void {
    for (const session of [...this.#sessions.values()]) session.apply(happening);
  }

  #send(process: string, message: ControlMessage): void {
    this.#streams.get(process)?.connection.send(1, message);
  }

  // Agents

  #opened(
    { self, open }: Extract<ControlMessage, { type: "hello" }>,
    connection: Connection<ControlMessage>,
  ): Stream | undefined {
    if (this.#leadership.term() === undefined) {
      connection.close(1);
      return undefined;
    }
    this.#streams.get(self.process)?.connection.close(1);
    this.#streams.delete(self.process);
    this.#directory.set(self.process, { self, detachedAtMs: undefined });
    this.#changes += 1;
    this.#tell({ type: "attached", process: factsOf(self) });
    const running = [...this.#sessions.values()].flatMap(
      ({ state }) => runningFor(state, self.process, self.inc) ?? [],
    );
    connection.send(1, { type: "welcome", running, directory: this.#directoryNow() });
    const stream = { self, connection };
    this.#streams.set(self.process, stream);
    this.#pushSoon();
    for (const ref of open) {
      if (running.some((one) => one.ref.snapshotId === ref.snapshotId && one.ref.attempt === ref.attempt)) continue;
      if (this.#sessions.has(ref.snapshotId)) connection.send(1, { type: "end", ref, phase: "Failed" });
      else {
        const answer = this.#host.answer((stored: StoredDocument | undefined | "unknown") => {
          if (stored !== "unknown") connection.send(1, { type: "end", ref, phase: stored?.document.phase ?? "Failed" });
        });
        this.#world.store.get(ref.snapshotId, answer);
      }
    }
    return stream;
  }

  #received(stream: Stream, message: ControlMessage): void {
    if (this.#streams.get(stream.self.process) !== stream) return;
    const { process: processId, inc: incarnation } = stream.self;
    switch (message.type) {
      case "cut":
      case "channel": {
        const session = this.#sessions.get(message.ref.snapshotId);
        if (message.type === "cut") session?.apply({ ...message, processId, incarnation });
        else session?.apply({ ...message, processId, incarnation });
        return;
      }
      case "captureFailed": {
        const reason = { code: message.code, message: "", processId };
        const { ref } = message;
        this.#sessions.get(ref.snapshotId)?.apply({ type: "captureFailed", ref, processId, incarnation, reason });
        return;
      }
      case "leaving":
        this.#streams.delete(processId);
        if (this.#directory.get(processId)?.self.inc === incarnation) this.#directory.delete(processId);
        this.#changes += 1;
        this.#tell({ type: "left", processId, incarnation });
        stream.connection.close(1);
        this.#pushSoon();
        return;
      default:
    }
  }

  #broken(stream: Stream): void {
    const { process: processId, inc: incarnation } = stream.self;
    if (this.#streams.get(processId) !== stream) return;
    this.#streams.delete(processId);
    const known = this.#directory.get(processId);
    if (known?.self.inc === incarnation) known.detachedAtMs ??= this.#host.nowMs;
    this.#tell({ type: "detached", processId, incarnation });
  }

  #expire(): void {
    for (const [process, { detachedAtMs }] of [...this.#directory]) {
      if (detachedAtMs === undefined || this.#host.nowMs < detachedAtMs + this.#limits.graceMs) continue;
      this.#directory.delete(process);
      this.#changes += 1;
    }
    this.#pushSoon();
  }

  #pushSoon(): void {
    if (this.#pushScheduled) return;
    this.#pushScheduled = true;
    this.#world.engine.after(0, () => {
      this.#pushScheduled = false;
      const processes = this.#host.over || this.#leadership.term() === undefined ? undefined : this.#directoryNow();
      if (processes === undefined || this.#pushedChanges === this.#changes) return;
      this.#pushedChanges = this.#changes;
      for (const process of this.#streams.keys()) this.#send(process, { type: "directory", processes });
    });
  }

  #directoryNow(): readonly Peer[] | undefined {
    return this.#host.nowMs < this.#settledAtMs ? undefined : [...this.#directory.values()].map(({ self }) => self);
  }

  #roster(): RosterProcess[] {
    return [...this.#directory.values()].map(({ self, detachedAtMs }) => ({
      ...factsOf(self),
      ...(detachedAtMs === undefined ? {} : { detachedAtMs }),
    }));
  }
}

function factsOf(self: Peer) {
  return { id: self.process, incarnation: self.inc, captureSource: "simulated", labels: {} };
}
