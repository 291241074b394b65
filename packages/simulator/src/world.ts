import type { EndOutcome, SnapshotRef } from "@cutline/protocol";
import { defaultSnapshotPolicy, isLastPhase } from "@cutline/protocol";
import type { Finish, FrameContent, Happening, History, Picture, Unit, Verdict } from "./checkers/history.ts";
import { ControlClient } from "./control/client.ts";
import { Coordinator } from "./control/coordinator.ts";
import { Store, type StoredDocument, type StoreQuality } from "./control/store.ts";
import type { Connection, LaneQuality } from "./data/connection.ts";
import type { PieceFrame } from "./data/link.ts";
import { Mesh } from "./data/mesh.ts";
import { SimProcess } from "./data/process.ts";
import type { NumberedFrame, WireFrame } from "./data/wire.ts";
import { Engine } from "./engine/engine.ts";
import { LocalClock } from "./engine/local-clock.ts";
import { Random } from "./engine/random.ts";
import type { Plan } from "./plan/plan.ts";

export interface Inhabitant {
  readonly process: SimProcess;
  readonly mesh: Mesh;
  readonly client: ControlClient;
}

interface LaneState {
  readonly quality: LaneQuality;
  connections: Connection<WireFrame>[];
}

/** What a run counts. */
export interface Statistics {
  readonly faults: Map<string, number>;
  readonly ended: Record<EndOutcome, number>;
}

/** A part of what happens, without its time. */
type Noted = Happening extends infer H ? (H extends { readonly atMs: number } ? Omit<H, "atMs"> : never) : never;

const coordinatorLimits = { leaseMs: 300, tickMs: 25, housekeepingMs: 200, graceMs: 250, settleMs: 80 };

/** Short times, so that a run needs little of them; their order is that of the services. */
const policy = {
  ...defaultSnapshotPolicy,
  attemptPauseMs: 15,
  graceMs: 250,
  initiatorGraceMs: 60,
  stallMsMin: 150,
  publishTriesMax: 3,
  settleMsMax: 700,
  rewriteMs: 20,
  reasonsMax: 50,
};

/** All processes, links, coordinators and the store of one run, and the history that the checkers get. */
export class World {
  readonly engine = new Engine();
  readonly random: Random;
  readonly plan: Plan;
  readonly history: History = { events: [], units: [] };
  readonly violations: Verdict[] = [];
  readonly statistics: Statistics = {
    faults: new Map(),
    ended: { Completed: 0, Failed: 0, Aborted: 0, superseded: 0, unresolved: 0 },
  };
  readonly faults: { captureFails: number; inexact: number };
  readonly controlQuality: LaneQuality;
  readonly storeQuality: StoreQuality = { latencyMs: 2, fails: 0, timesOut: 0, late: 0 };
  readonly store: Store;
  readonly coordinators: readonly Coordinator[];
  readonly inhabitants = new Map<string, Inhabitant>();
  readonly callWindowBytes: number;
  readonly #lanes = new Map<string, LaneState>();
  readonly #lives = new Map<string, number>();

  constructor(plan: Plan) {
    this.plan = plan;
    this.random = new Random(plan.seed);
    const { latencyMs, jitterMs, inexact, callWindowBytes } = plan.settings;
    this.callWindowBytes = callWindowBytes;
    this.faults = { captureFails: 0, inexact };
    const quality = { latencyMs, jitterMs, duplicated: 0, reordered: 0, acknowledgementsLateMs: 0, up: true };
    this.controlQuality = { ...quality };
    for (const { id } of plan.lanes) this.#lanes.set(id, { quality: { ...quality }, connections: [] });
    this.store = new Store(this.engine, this.random.stream("store"), this.storeQuality, {
      onGranted: (term, holder) => this.note({ type: "granted", term, holder }),
      onWritten: (id, stored) => this.#written(id, stored),
      onFault: (what, how) => this.fault(what, how),
    });
    this.coordinators = plan.coordinators.map(
      ({ name, aheadMs }) =>
        new Coordinator(this, name, new LocalClock(this.engine, aheadMs), coordinatorLimits, policy),
    );
  }

  /** A process begins to live, with so many tokens of its own. */
  bear(id: string, tokens: number): void {
    if (this.inhabitants.has(id)) return;
    const life = (this.#lives.get(id) ?? 0) + 1;
    this.#lives.set(id, life);
    const self = { process: id, inc: `${id}#${life}` };
    const random = this.random.stream(self.inc);
    const clock = new LocalClock(this.engine, random.between(-2_000, 2_000));
    const names = Array.from({ length: tokens }, (_, index) => `${self.inc}.${index}`);
    const process = new SimProcess(this, self, clock, random, names);
    const mesh = new Mesh(process, random, {
      handshakeTimeoutMs: 200,
      resumeTimeoutMs: this.plan.settings.resumeTimeoutMs,
      retryMinMs: 5,
      retryMaxMs: 80,
    });
    const client = new ControlClient(process, mesh, this.plan.settings.forgetAfterMs);
    this.inhabitants.set(id, { process, mesh, client });
    this.note({ type: "born", inc: self.inc, process: id, tokens: names });
    client.attach();
  }

  /** It is gone, with all it had. */
  bury(id: string, how: "crashed" | "left"): void {
    const inhabitant = this.inhabitants.get(id);
    if (inhabitant === undefined) return;
    this.inhabitants.delete(id);
    inhabitant.process.alive = false;
    inhabitant.mesh.stop();
    inhabitant.client.stop();
    this.note({ type: "gone", inc: inhabitant.process.self.inc, how });
  }

  laneOf(lane: string): LaneQuality {
    return this.#lane(lane).quality;
  }

  /** A connection has been dialled; it reaches whoever lives there. */
  carry(lane: string, to: string, connection: Connection<WireFrame>): void {
    const state = this.#lane(lane);
    const target = this.inhabitants.get(to);
    if (!state.quality.up || target === undefined) {
      connection.cut();
      return;
    }
    state.connections.push(connection);
    target.mesh.accept(connection);
  }

  cutLane(lane: string): void {
    const state = this.#lane(lane);
    for (const connection of state.connections) connection.cut();
    state.connections = [];
  }

  // The history

  note(noted: Noted): void {
    this.history.events.push({ ...noted, atMs: this.engine.nowMs } as Happening);
  }

  noteFrame(type: "numbered" | "arrived", inc: string, channel: string, frame: NumberedFrame): void {
    const content: FrameContent =
      frame.type === "piece"
        ? { unit: frame.unit.id, piece: frame.piece }
        : { marker: `${frame.ref.snapshotId}/${frame.ref.attempt}` };
    this.note({ type, inc, channel, number: frame.number, content });
  }

  noteReceived(inc: string, channel: string, frames: readonly PieceFrame[], fate: "taken" | "discarded"): void {
    const unit = frames[0]?.unit.id ?? -1;
    this.note({ type: "received", inc, channel, unit, numbers: frames.map(({ number }) => number), fate });
  }

  newUnit(unit: Omit<Unit, "id">): Unit {
    const made = { id: this.history.units.length, ...unit };
    this.history.units.push(made);
    return made;
  }

  fault(kind: string, what: string): void {
    this.statistics.faults.set(kind, (this.statistics.faults.get(kind) ?? 0) + 1);
    this.note({ type: "fault", what: `${kind}: ${what}` });
  }

  asked(id: string, completesBy: number): void {
    this.note({ type: "asked", id, completesBy });
  }

  started({ snapshotId, attempt }: SnapshotRef, term: number): void {
    this.note({ type: "started", id: snapshotId, attempt, term });
  }

  told(by: string, ref: SnapshotRef, phase: string): void {
    this.note({ type: "told", by, id: ref.snapshotId, attempt: ref.attempt, phase });
  }

  /** Something that may never be was met outside of the checkers. */
  broke(checker: string, message: string): void {
    this.violations.push({ checker, message });
  }

  get isQuiet(): boolean {
    for (const { document } of this.store.documents.values()) if (!isLastPhase(document.phase)) return false;
    return (
      this.coordinators.every(({ running }) => running === 0) &&
      this.#nothingTravels() &&
      this.#standings().every(
        ({ runningSnapshots, heldFrames, waitingUnits }) =>
          runningSnapshots.length === 0 && heldFrames === 0 && waitingUnits === 0,
      )
    );
  }

  finish(reached: Finish["reached"]): void {
    const ends = new Map<string, number>();
    for (const { process } of this.inhabitants.values()) {
      for (const { outgoing, incoming } of process.links.values()) {
        for (const { id } of [outgoing, incoming]) ends.set(id, (ends.get(id) ?? 0) + 1);
      }
    }
    const outcome: Finish = {
      reached,
      documents: [...this.store.documents].map(([id, { document }]) => {
        const { attempt, phase, reason, message } = document;
        return { id, attempt, phase, reason: `${reason} ${message}` };
      }),
      processes: this.#standings(),
      liveChannels: [...ends].filter(([, count]) => count === 2).map(([id]) => id),
      parts: new Map([...this.store.parts].map(([id, parts]) => [id, contentsOf(parts)])),
    };
    this.note({ type: "finished", outcome });
  }

  #nothingTravels(): boolean {
    const arrived = new Map<string, number>();
    const links = [...this.inhabitants.values()].flatMap(({ process }) => [...process.links.values()]);
    for (const { incoming } of links) arrived.set(incoming.id, incoming.lastNumber);
    return links.every(({ outgoing: { id, lastNumber } }) => (arrived.get(id) ?? lastNumber) === lastNumber);
  }

  #standings(): Finish["processes"] {
    return [...this.inhabitants.values()].map(({ process }) => {
      let heldFrames = 0;
      let waitingUnits = 0;
      for (const link of process.links.values()) {
        heldFrames += link.strays.length + link.incoming.barriers.length + link.incoming.recordings.length;
        for (const { inbound, outbound } of link.calls.values()) waitingUnits += inbound.length + outbound.length;
      }
      const runningSnapshots = [...process.state.snapshots.keys()];
      return { inc: process.self.inc, runningSnapshots, heldFrames, waitingUnits, keptRecords: process.keptRecords };
    });
  }

  #written(id: string, { document, term, published }: StoredDocument): void {
    this.note({ type: "written", id, attempt: document.attempt, phase: document.phase, term });
    if (!published) return;
    const picture: Picture = {
      id,
      attempt: document.attempt,
      exact: document.exact,
      processes: document.processes.map(({ id: process, incarnation, stored, exact }) => ({
        id: process,
        inc: incarnation,
        stored,
        exact,
      })),
      channels: document.channels,
      parts: contentsOf(this.store.parts.get(id) ?? new Map(), document.attempt),
    };
    this.note({ type: "published", picture });
  }

  #lane(id: string): LaneState {
    const lane = this.#lanes.get(id);
    if (lane === undefined) throw new RangeError(`there is no lane ${id}`);
    return lane;
  }
}

/** By `kind owner` where the attempt is given, else by `attempt kind owner`. */
function contentsOf(parts: ReadonlyMap<string, { readonly content: string }>, attempt?: number): Map<string, string> {
  const prefix = attempt === undefined ? "" : `${attempt} `;
  const contents = new Map<string, string>();
  for (const [name, { content }] of parts)
    if (name.startsWith(prefix)) contents.set(name.slice(prefix.length), content);
  return contents;
}
