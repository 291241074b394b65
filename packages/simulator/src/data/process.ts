import {
  type ChannelFacts,
  type CutEffect,
  type CutFacts,
  type CutTrigger,
  createProcessState,
  gatherUndelivered,
  holdersOf,
  noteDelivery,
  type ProcessState,
  type SnapshotRef,
  snapshotKey,
  step,
  takeArrival,
} from "@cutline/protocol";
import type { LocalClock } from "../engine/local-clock.ts";
import type { Random } from "../engine/random.ts";
import { channelContent, type KeptPiece } from "../records.ts";
import type { World } from "../world.ts";
import { Application } from "./application.ts";
import type { CallEnd } from "./call.ts";
import { type CapturedState, Capturer } from "./capturer.ts";
import { Link, type LinkIdentity, type LinkLimits, type PieceFrame } from "./link.ts";
import type { NumberedFrame, Peer } from "./wire.ts";

/** What the process owes the coordinator; its desk keeps it. */
export interface Reports {
  noticed(ref: SnapshotRef): void;
  cut(facts: CutFacts, state: CapturedState): void;
  channel(facts: ChannelFacts, content: string, count: number, messages: number): void;
  failed(ref: SnapshotRef, code: string): void;
  forget(ref: SnapshotRef): void;
}

/** One life of one process: the protocol, its links, and its application; does what the agent's driver does. */
export class SimProcess {
  readonly self: Peer;
  readonly world: World;
  readonly clock: LocalClock;
  readonly random: Random;
  readonly state: ProcessState;
  readonly application: Application;
  readonly capturer: Capturer;
  readonly links = new Map<string, Link>();
  alive = true;
  leaving = false;
  reports: Reports | undefined;
  readonly #limits: LinkLimits;
  readonly #byOutgoing = new Map<string, Link>();
  readonly #byIncoming = new Map<string, Link>();
  readonly #records = new Map<string, Map<string, KeptPiece[]>>();
  /** Half of the processes go through `step` for every frame, half through the functions beside it, as the agent does. */
  readonly #stepsEveryFrame: boolean;

  constructor(world: World, self: Peer, clock: LocalClock, random: Random, tokens: readonly string[]) {
    this.world = world;
    this.self = self;
    this.clock = clock;
    this.random = random;
    this.state = createProcessState(self.process);
    this.#stepsEveryFrame = random.happens(0.5);
    this.#limits = {
      unacknowledgedBytesMax: random.pick([400, 1_500, 100_000]) ?? 0,
      acknowledgeBytes: 100_000,
      acknowledgeFrames: random.between(1, 6),
      acknowledgeDelayMs: random.between(1, 40),
      strayBytesMax: 1_000_000,
    };
    this.application = new Application(this, tokens);
    this.capturer = new Capturer(this);
  }

  openLink(identity: LinkIdentity): Link {
    const [to, from] = identity.role === "dialler" ? [0, 1] : [1, 0];
    const outgoingId = `${identity.id}:${to}`;
    const incomingId = `${identity.id}:${from}`;
    const peer = identity.peer.processId;
    const { effects } = step(this.state, { type: "openOutgoing", channel: outgoingId, peer });
    step(this.state, { type: "openIncoming", channel: incomingId, peer });
    const outgoing = this.state.outgoing.get(outgoingId);
    const incoming = this.state.incoming.get(incomingId);
    if (outgoing === undefined || incoming === undefined) throw new RangeError(`link ${identity.id} has no channels`);
    const link = new Link(identity, { outgoing, incoming }, this.clock, this.#limits, {
      onNumbered: (at, frame) => this.world.noteFrame("numbered", this.self.inc, at.outgoing.id, frame),
      onArrival: (at, frame) => this.#arrived(at, frame),
      onDiscarded: (at, frame) => this.world.noteReceived(this.self.inc, at.incoming.id, [frame], "discarded"),
      onCrowded: (at) => this.#crowded(at),
      onRoom: (at) => {
        for (const call of [...at.calls.values()]) call.pumpToLink();
      },
    });
    this.links.set(link.id, link);
    this.#byOutgoing.set(outgoingId, link);
    this.#byIncoming.set(incomingId, link);
    this.world.note({ type: "opened", inc: this.self.inc, channel: outgoingId, end: "out" });
    this.world.note({ type: "opened", inc: this.self.inc, channel: incomingId, end: "in" });
    this.#perform(effects);
    return link;
  }

  closeLink(link: Link): void {
    if (link.dead) return;
    link.dead = true;
    link.resumeTimer?.cancel();
    this.links.delete(link.id);
    this.#byOutgoing.delete(link.outgoing.id);
    this.#byIncoming.delete(link.incoming.id);
    this.world.note({ type: "lost", inc: this.self.inc, channel: link.outgoing.id, end: "out" });
    this.world.note({ type: "lost", inc: this.self.inc, channel: link.incoming.id, end: "in" });
    link.closeConnection();
    this.#perform(step(this.state, { type: "closeChannel", channel: link.outgoing.id }).effects);
    this.#perform(step(this.state, { type: "closeChannel", channel: link.incoming.id }).effects);
    for (const call of [...link.calls.values()]) this.application.linkLost(call);
    link.calls.clear();
  }

  start(ref: SnapshotRef, trigger: "start" | "attach"): void {
    this.#perform(step(this.state, { type: "start", ref, trigger }).effects);
  }

  ended(ref: SnapshotRef): void {
    this.#perform(step(this.state, { type: "ended", ref }).effects);
  }

  captureFailed(ref: SnapshotRef, code: string): void {
    this.#perform(step(this.state, { type: "captureFailed", ref, code, message: code }).effects);
  }

  isRunning(ref: SnapshotRef): boolean {
    return this.state.snapshots.has(snapshotKey(ref));
  }

  get hasRunningCuts(): boolean {
    return [...this.state.snapshots.values()].some(({ phase }) => phase !== "done");
  }

  /** The application's state is taken at this very instant. */
  captured(ref: SnapshotRef): void {
    const undelivered = gatherUndelivered(this.links.values(), (call: CallEnd) => call.inbound);
    this.world.note({ type: "cut", inc: this.self.inc, key: snapshotKey(ref) });
    const { effects } = step(this.state, { type: "captured", ref, undelivered: undelivered.numbers });
    this.#perform(effects, (channel, number) => undelivered.find(channel, number)?.frame);
  }

  /** The application has received a unit. */
  delivered(link: Link, frames: readonly PieceFrame[]): void {
    for (const { number } of frames) {
      if (this.#stepsEveryFrame) step(this.state, { type: "delivered", channel: link.incoming.id, number });
      else noteDelivery(link.incoming, number);
    }
    this.world.noteReceived(this.self.inc, link.incoming.id, frames, "taken");
  }

  /** Records kept for attempts that are not forgotten. */
  get keptRecords(): number {
    return this.#records.size;
  }

  #arrived(link: Link, frame: NumberedFrame): void {
    this.world.noteFrame("arrived", this.self.inc, link.incoming.id, frame);
    const channel = link.incoming.id;
    const { number } = frame;
    if (frame.type === "marker") {
      this.#perform(step(this.state, { type: "markerArrived", channel, number, ref: frame.ref }).effects);
      return;
    }
    if (frame.unit.kind === "open" && !link.calls.has(frame.callId)) this.application.accept(link, frame);
    const call = link.calls.get(frame.callId);
    if (this.#stepsEveryFrame) {
      this.#perform(step(this.state, { type: "frameArrived", channel, number }).effects, () => frame);
    } else {
      for (const { ref } of takeArrival(link.incoming, number)) this.#keep(ref, channel, frame);
    }
    if (call === undefined) {
      if (link.stray(frame) === "full") this.world.broke("I7", `too many strays wait at ${this.self.inc}`);
      return;
    }
    call.arrive(frame);
    call.pumpToApplication();
  }

  #perform(effects: readonly CutEffect[], find?: (channel: string, number: number) => PieceFrame | undefined): void {
    for (const effect of effects) {
      switch (effect.type) {
        case "sendMarker":
          this.#byOutgoing.get(effect.channel)?.sendMarker(effect.number, effect.ref);
          break;
        case "record": {
          const frame = find?.(effect.channel, effect.number);
          if (frame !== undefined) this.#keep(effect.ref, effect.channel, frame);
          break;
        }
        case "capture":
          this.reports?.noticed(effect.ref);
          this.capturer.request(effect.ref, effect.trigger satisfies CutTrigger);
          break;
        case "reportCut":
          this.reports?.cut(effect.report, this.capturer.takeState(effect.report.ref));
          break;
        case "reportChannel": {
          const { ref, channel } = effect.report;
          const frames = this.#records.get(snapshotKey(ref))?.get(channel) ?? [];
          const messages = new Set(frames.map(({ unit }) => unit)).size;
          this.reports?.channel(effect.report, channelContent(frames), frames.length, messages);
          break;
        }
        case "reportFailed":
          this.capturer.forget(effect.ref);
          this.reports?.failed(effect.ref, effect.code);
          break;
        case "forget":
          this.#records.delete(snapshotKey(effect.ref));
          this.capturer.forget(effect.ref);
          this.reports?.forget(effect.ref);
          break;
        case "release":
          this.#release(effect.channel);
          break;
        default:
          break;
      }
    }
  }

  /** Snapshots give way to traffic, though not from inside of a step. */
  #crowded(link: Link): void {
    this.world.engine.after(0, () => {
      if (!this.alive) return;
      for (const ref of holdersOf(this.state, link.incoming)) {
        this.world.fault("crowded", `${this.self.inc} gives ${snapshotKey(ref)} up for ${link.incoming.id}`);
        this.captureFailed(ref, "StraysTooLarge");
      }
    });
  }

  #keep(ref: SnapshotRef, channel: string, frame: PieceFrame): void {
    const key = snapshotKey(ref);
    let channels = this.#records.get(key);
    if (channels === undefined) {
      channels = new Map();
      this.#records.set(key, channels);
    }
    const piece = { number: frame.number, unit: frame.unit.id, piece: frame.piece };
    const records = channels.get(channel);
    if (records === undefined) channels.set(channel, [piece]);
    else records.push(piece);
  }

  #release(channel: string): void {
    const link = this.#byIncoming.get(channel);
    if (link === undefined) return;
    link.settleStrays();
    for (const call of [...link.calls.values()]) call.pumpToApplication();
  }
}
