import {
  type AgentPresence,
  Attendance,
  directoryVersion,
  documentOf,
  endedMeanwhile,
  endOfAttempt,
  Lead,
  type ProcessHello,
  type RosterProcess,
  runningFor,
  type SnapshotHappening,
  type SnapshotPolicy,
  type SnapshotRef,
  type SnapshotSpec,
  type SnapshotState,
  type StoredSnapshot,
} from "@cutline/protocol";
import type { Connection } from "../data/connection.ts";
import type { Peer } from "../data/wire.ts";
import type { LocalClock } from "../engine/local-clock.ts";
import type { World } from "../world.ts";
import { Host } from "./host.ts";
import { Leadership } from "./leadership.ts";
import type { ControlMessage, DirectoryMessage, PartOffer, UploadOutcome } from "./messages.ts";
import { Session } from "./session.ts";
import type { CreateOutcome, StoredDocument } from "./store.ts";
import { admitPart } from "./uploads.ts";

interface Stream extends AgentPresence {
  readonly self: Peer;
  readonly connection: Connection<ControlMessage>;
}

interface Hello extends ProcessHello {
  readonly self: Peer;
}

/** Simulated agents say nothing of how they are. */
type Status = undefined;

export interface CoordinatorLimits {
  readonly leaseMs: number;
  readonly tickMs: number;
  readonly housekeepingMs: number;
  readonly graceMs: number;
  readonly settleMs: number;
}

const concurrentMax = 6;
/** Simulated streams break, and are not silent. */
const heartbeats = { heartbeatMs: 1_000, heartbeatsMissedMax: 1_000 };

/** One replica: carries out what the machines of services/coordinator decide, on simulated streams and a simulated store. */
export class Coordinator {
  readonly name: string;
  readonly clock: LocalClock;
  readonly #world: World;
  readonly #limits: CoordinatorLimits;
  readonly #policy: SnapshotPolicy;
  #host: Host;
  #lead: Lead<Session>;
  #attendance: Attendance<Stream, Hello, Status>;
  #lives = 0;
  #pushScheduled = false;

  constructor(world: World, name: string, clock: LocalClock, limits: CoordinatorLimits, policy: SnapshotPolicy) {
    this.name = name;
    this.clock = clock;
    this.#world = world;
    this.#limits = limits;
    this.#policy = policy;
    [this.#host, this.#lead, this.#attendance] = this.#begin();
  }

  get leads(): boolean {
    return !this.#host.over && this.#lead.term(this.#host.nowMs) !== undefined;
  }

  get running(): number {
    return this.#host.over ? 0 : this.#lead.sessions().length;
  }

  crash(): void {
    this.#host.end();
    for (const { connection } of this.#attendance.dismiss()) connection.close(1);
  }

  restart(): void {
    if (this.#host.over) [this.#host, this.#lead, this.#attendance] = this.#begin();
  }

  pause(): void {
    this.#host.pause();
  }

  goOn(): void {
    this.#host.goOn();
  }

  /** `refused`: another replica may take it. */
  start(spec: Omit<SnapshotSpec, "createdAtMs">, completesBy: number): "taken" | "refused" {
    const lead = this.#lead;
    const { nowMs } = this.#host;
    const term = lead.term(nowMs);
    const limits = { concurrentMax, minimumPauseMs: 0 };
    const attached = this.#attendance.directory.attached();
    if (this.#host.over || term === undefined) return "refused";
    if (lead.refusal(spec.initiator, attached, limits, nowMs) !== undefined) return "refused";
    const creation = lead.create({ ...spec, createdAtMs: lead.creationMs(nowMs) }, term, nowMs);
    this.#world.asked(spec.id, completesBy);
    const answer = this.#host.answer((outcome: CreateOutcome | "unknown") => {
      if (lead.created(creation, outcome, this.#host.nowMs) === "open") this.#open(creation.state, term);
    });
    this.#world.store.create(term, documentOf(creation.state), answer);
    return "taken";
  }

  abort(id: string): void {
    if (!this.#host.over) this.#lead.find(id)?.apply({ type: "abort", message: "aborted on request" });
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
      const session = this.#lead.find(offer.ref.snapshotId);
      admitPart({ term: this.#lead.term(host.nowMs), session, host, store: this.#world.store }, offer, answer);
    });
  }

  /** A life of this program begins. */
  #begin(): [Host, Lead<Session>, Attendance<Stream, Hello, Status>] {
    this.#lives += 1;
    const host = new Host(`${this.name}#${this.#lives}`, this.clock);
    const { leaseMs, tickMs, graceMs, housekeepingMs } = this.#limits;
    const lead = new Lead<Session>(leaseMs, this.#policy);
    const leadership = new Leadership(lead.lease, host, this.#world.store, {
      onGained: (term, succession, done) => {
        lead.gain(host.nowMs, this.#limits.settleMs);
        this.#adopt(term, (outcome) => {
          if (outcome === "takenOver") {
            lead.taken(succession);
            this.#attendance.lead(lead.settledAtMs);
            host.after(lead.settledAtMs - host.nowMs, () => this.#pushSoon());
          }
          done(outcome);
        });
      },
      onLost: () => {
        for (const session of lead.lose()) session.stop();
        for (const { connection } of this.#attendance.dismiss()) connection.close(1);
      },
    });
    const every = (delayMs: number, action: () => void) => {
      host.after(delayMs, () => {
        action();
        every(delayMs, action);
      });
    };
    leadership.start();
    every(tickMs, () => this.#tell({ type: "tick" }));
    every(graceMs / 4, () => this.#expire());
    every(housekeepingMs, () => {
      const term = lead.term(host.nowMs);
      if (term !== undefined) this.#adopt(term, () => undefined);
    });
    return [host, lead, new Attendance({ ...heartbeats, graceMs }, host.nowMs)];
  }

  /** Whatever the store says runs is driven here, or failed. */
  #adopt(term: number, done: (outcome: "takenOver" | "takeOverFailed") => void): void {
    const { store } = this.#world;
    const lead = this.#lead;
    const host = this.#host;
    const found: StoredDocument[] = [];
    const search = lead.search();
    const failed = () => {
      lead.giveUp(search);
      done("takeOverFailed");
    };
    const open = () => {
      const adopted = lead.adopt(
        search,
        term,
        found.map((stored) => inherit(stored)),
        host.nowMs,
      );
      if (adopted !== "passedOver") for (const state of adopted) this.#open(state, term);
      done(adopted === "passedOver" ? "takeOverFailed" : "takenOver");
    };
    const listed = host.answer((ids: readonly string[] | "unknown") => {
      if (ids === "unknown") return failed();
      const waiting = [...ids];
      const next = (): void => {
        const id = waiting.shift();
        if (id === undefined) open();
        else if (lead.isLive(id)) next();
        else store.get(id, read);
      };
      // Read again: it may have ended since the list was made.
      const read = host.answer((stored: StoredDocument | undefined | "unknown") => {
        if (stored === "unknown") return failed();
        if (stored !== undefined) found.push(stored);
        next();
      });
      next();
    });
    store.listRunning(listed);
  }

  /** It is driven here from now on. */
  #open(state: SnapshotState, term: number): void {
    const session = new Session(state, term, this.#host, this.#world.store, {
      sendStart: (process, start) => {
        this.#world.started(start.ref, term);
        this.#send(process, { type: "start", start });
      },
      sendEnd: (ref, phase) => {
        this.#world.told(this.name, ref, phase);
        for (const { processId } of this.#attendance.streams()) this.#send(processId, { type: "end", ref, phase });
      },
      onEnded: (ended, outcome) => {
        this.#lead.ended(ended.id, ended);
        this.#world.statistics.ended[outcome] += 1;
      },
    });
    this.#lead.open(session.id, session);
    session.apply(this.#lead.beginning(this.#roster()));
  }

  #tell(happening: SnapshotHappening): void {
    for (const session of this.#lead.sessions()) session.apply(happening);
  }

  #send(process: string, message: ControlMessage): void {
    this.#attendance.find(process)?.connection.send(1, message);
  }

  // Agents

  #opened(
    { self, open }: Extract<ControlMessage, { type: "hello" }>,
    connection: Connection<ControlMessage>,
  ): Stream | undefined {
    const { nowMs } = this.#host;
    const term = this.#lead.term(nowMs);
    if (term === undefined) {
      connection.close(1);
      return undefined;
    }
    const { process: processId, inc: incarnation } = self;
    this.#attendance.greet({ processId, incarnation, self }, nowMs)?.connection.close(1);
    this.#tell({ type: "attached", process: factsOf(self) });
    const running = this.#lead
      .sessions()
      .flatMap(({ machine }) => runningFor(machine.snapshot, processId, incarnation) ?? []);
    connection.send(1, { type: "welcome", running, directory: this.#directoryNow(term) });
    const stream = { processId, incarnation, lastHeardMs: nowMs, self, connection };
    this.#attendance.welcomed(stream);
    this.#pushSoon();
    const refs = running.map(({ ref }) => ref);
    for (const ref of endedMeanwhile(open, refs)) this.#tellEnd(connection, ref);
    return stream;
  }

  #tellEnd(connection: Connection<ControlMessage>, ref: SnapshotRef): void {
    const tell = (stored: StoredDocument | undefined) => {
      const { phase } = endOfAttempt(ref, stored?.document);
      connection.send(1, { type: "end", ref, phase });
    };
    if (this.#lead.find(ref.snapshotId) !== undefined) {
      tell(undefined);
      return;
    }
    const answer = this.#host.answer((stored: StoredDocument | undefined | "unknown") => {
      if (stored !== "unknown") tell(stored);
    });
    this.#world.store.get(ref.snapshotId, answer);
  }

  #received(stream: Stream, message: ControlMessage): void {
    const { processId, incarnation } = stream;
    if (this.#attendance.find(processId) !== stream) return;
    switch (message.type) {
      case "cut":
        this.#lead.find(message.ref.snapshotId)?.apply({ ...message, processId, incarnation });
        return;
      case "channel":
        this.#lead.find(message.ref.snapshotId)?.apply({ ...message, processId, incarnation });
        return;
      case "captureFailed": {
        const reason = { code: message.code, message: "", processId };
        const { ref } = message;
        this.#lead.find(ref.snapshotId)?.apply({ type: "captureFailed", ref, processId, incarnation, reason });
        return;
      }
      case "leaving":
        this.#attendance.leave(stream);
        this.#tell({ type: "left", processId, incarnation });
        stream.connection.close(1);
        this.#pushSoon();
        return;
      default:
    }
  }

  #broken(stream: Stream): void {
    if (this.#attendance.broken(stream) === "stale") return;
    const { processId, incarnation } = stream;
    this.#tell({ type: "detached", processId, incarnation });
    this.#attendance.directory.detach(processId, incarnation, this.#host.nowMs);
  }

  #expire(): void {
    if (this.#attendance.expire(this.#host.nowMs).length > 0) this.#tell({ type: "tick" });
    this.#pushSoon();
  }

  /** Changes of one instant go out as one directory. */
  #pushSoon(): void {
    if (this.#pushScheduled) return;
    this.#pushScheduled = true;
    this.#world.engine.after(0, () => {
      this.#pushScheduled = false;
      const { nowMs } = this.#host;
      const term = this.#lead.term(nowMs);
      if (this.#host.over || term === undefined) return;
      if (this.#attendance.pushDirectory(nowMs) === "notDue") return;
      const directory = this.#listed(term);
      for (const { processId } of this.#attendance.streams()) this.#send(processId, { type: "directory", directory });
    });
  }

  #directoryNow(term: number): DirectoryMessage | undefined {
    return this.#attendance.isSettled(this.#host.nowMs) ? this.#listed(term) : undefined;
  }

  #listed(term: number): DirectoryMessage {
    const { directory } = this.#attendance;
    const version = directoryVersion(term, directory.changes);
    return { version, processes: directory.list().map(({ hello }) => hello.self) };
  }

  #roster(): RosterProcess[] {
    return this.#attendance.directory.list().map(({ hello, detachedAtMs }) => ({
      ...factsOf(hello.self),
      ...(detachedAtMs === undefined ? {} : { detachedAtMs }),
    }));
  }
}

function factsOf(self: Peer) {
  return { id: self.process, incarnation: self.inc, captureSource: "simulated", labels: {} };
}

/** What a new leader goes on with. */
function inherit({ document, term }: StoredDocument): StoredSnapshot {
  const { spec, phase, attempt, startedAtMs, earlierAttempts, processes } = document;
  return {
    spec,
    phase,
    term,
    inherited: {
      attempt: Math.max(1, attempt),
      startedAtMs,
      earlierAttempts,
      processes: processes.map(({ id, incarnation, captureSource }) => ({
        id,
        incarnation,
        captureSource,
        labels: {},
      })),
    },
  };
}
