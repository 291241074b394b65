import { Marker } from "@cutline/proto/link";
import {
  type ChannelFacts,
  type CutEffect,
  type CutFacts,
  type CutTrigger,
  createProcessState,
  gatherUndelivered,
  holdersOf,
  InvariantViolation,
  type ProcessState,
  type SnapshotRef,
  snapshotKey,
  step,
  takeArrival,
} from "@cutline/protocol";
import { describeError, type Logger } from "@cutline/runtime";
import type { KeptRecord, Recorder } from "./capture/recorder.ts";
import type { CallEnd } from "./dataplane/call/call-end.ts";
import { FrameError, FrameType } from "./dataplane/link/codec.ts";
import type { ArrivedFrame } from "./dataplane/link/frame.ts";
import { InboundMemory, KeptBytes } from "./dataplane/link/kept-bytes.ts";
import { channelIds, Link, type LinkIdentity, type LinkLimits } from "./dataplane/link/link.ts";

/** What the driver's owner does with the protocol's effects. */
export interface DriverEvents {
  /** A call's opening frame arrived; its end must be in `link.calls` afterwards. */
  onOpen(link: Link, frame: ArrivedFrame): void;
  onCapture(ref: SnapshotRef, trigger: CutTrigger): void;
  onCut(report: CutFacts): void;
  onChannel(report: ChannelFacts): void;
  onFailed(ref: SnapshotRef, code: string, message: string): void;
  onForget(ref: SnapshotRef): void;
  onLinkLost(link: Link, reason: string): void;
}

/**
 * Steps the protocol for this process and performs its effects, in their order. Everything here is synchronous: between
 * two turns of the event loop no frame is half handled.
 */
export class Driver {
  readonly state: ProcessState;
  readonly links = new Map<string, Link>();
  /** What is kept for the application, of all links. */
  readonly memory: InboundMemory;
  readonly #byOutgoing = new Map<string, Link>();
  readonly #byIncoming = new Map<string, Link>();
  readonly #recorder: Recorder;
  readonly #limits: LinkLimits;
  readonly #events: DriverEvents;
  readonly #logger: Logger;

  constructor(processId: string, recorder: Recorder, limits: LinkLimits, events: DriverEvents, logger: Logger) {
    this.state = createProcessState(processId);
    this.#recorder = recorder;
    this.#limits = limits;
    this.memory = new InboundMemory(limits.inboundBytesMax);
    this.#events = events;
    this.#logger = logger;
  }

  /** Makes a link with its two channels. It has no connection yet, but may be sent on. */
  openLink(identity: LinkIdentity): Link {
    const ids = channelIds(identity);
    const peer = identity.peer.processId;
    const { effects } = step(this.state, { type: "openOutgoing", channel: ids.outgoing, peer });
    step(this.state, { type: "openIncoming", channel: ids.incoming, peer });
    const outgoing = this.state.outgoing.get(ids.outgoing);
    const incoming = this.state.incoming.get(ids.incoming);
    if (outgoing === undefined || incoming === undefined) throw new RangeError(`link ${identity.id} has no channels`);
    const kept = new KeptBytes(this.memory, this.#limits.headerBytesMax);
    const link = new Link(identity, { outgoing, incoming }, kept, this.#limits, {
      onArrival: (from, frame) => this.#arrived(from, frame),
      onCrowded: (from) => this.#crowded(from),
      onRoom: (from) => this.#pumpToLink(from),
      onClosedByPeer: (from, reason) => this.closeLink(from, reason),
    });
    this.links.set(link.id, link);
    this.#byOutgoing.set(ids.outgoing, link);
    this.#byIncoming.set(ids.incoming, link);
    this.#perform(effects);
    return link;
  }

  /** The link is dead for ever. Its calls end UNAVAILABLE; snapshots that needed it fail. */
  closeLink(link: Link, reason: string): void {
    if (link.dead) return;
    link.dead = true;
    this.links.delete(link.id);
    this.#byOutgoing.delete(link.outgoing.id);
    this.#byIncoming.delete(link.incoming.id);
    link.closeConnection(reason);
    this.#perform(step(this.state, { type: "closeChannel", channel: link.outgoing.id }).effects);
    this.#perform(step(this.state, { type: "closeChannel", channel: link.incoming.id }).effects);
    for (const call of link.calls.values()) call.linkLost(reason);
    this.#events.onLinkLost(link, reason);
  }

  start(ref: SnapshotRef, trigger: "start" | "attach"): void {
    this.#perform(step(this.state, { type: "start", ref, trigger }).effects);
  }

  ended(ref: SnapshotRef): void {
    this.#perform(step(this.state, { type: "ended", ref }).effects);
  }

  captureFailed(ref: SnapshotRef, code: string, message: string): void {
    this.#perform(step(this.state, { type: "captureFailed", ref, code, message }).effects);
  }

  /** Cuts of this process that are not handed over yet. */
  get hasRunningCuts(): boolean {
    for (const { phase } of this.state.snapshots.values())
      if (phase === "cutting" || phase === "recording") return true;
    return false;
  }

  isRunning(ref: SnapshotRef): boolean {
    return this.state.snapshots.has(snapshotKey(ref));
  }

  /**
   * The application's state has been captured at this very instant: numbers the markers, records what is in flight and
   * lets go. Throws {@link InvariantViolation}, with nothing sent, when the bookkeeping does not add up.
   */
  captured(ref: SnapshotRef): void {
    const undelivered = gatherUndelivered(this.links.values(), keptByCall);
    const { effects } = step(this.state, { type: "captured", ref, undelivered: undelivered.numbers });
    this.#perform(effects, undelivered.find);
  }

  #arrived(link: Link, frame: ArrivedFrame): void {
    try {
      if (frame.type === FrameType.marker) this.#markerArrived(link, frame);
      else this.#frameArrived(link, frame);
    } catch (error) {
      // The number is taken, and what it stands for is lost: the link cannot go on, not even on another connection.
      this.#logger.error({ error, linkId: link.id, number: frame.number }, "a frame cannot be taken in: link given up");
      if (error instanceof InvariantViolation) {
        for (const { ref } of [...this.state.snapshots.values()]) this.captureFailed(ref, error.code, error.message);
      }
      this.closeLink(link, `the link broke the protocol: ${describeError(error)}`);
    }
  }

  #markerArrived(link: Link, frame: ArrivedFrame): void {
    const marker = decodeMarker(frame.payload);
    const ref = { snapshotId: marker.snapshotId, attempt: marker.attempt };
    this.#perform(
      step(this.state, { type: "markerArrived", channel: link.incoming.id, number: frame.number, ref }).effects,
    );
  }

  /** The path of every message: what `step` does for `frameArrived`, without an object for each effect. */
  #frameArrived(link: Link, frame: ArrivedFrame): void {
    const recordings = takeArrival(link.incoming, frame.number);
    if (frame.type === FrameType.open) this.#events.onOpen(link, frame);
    const call = link.calls.get(frame.callId);
    if (recordings.length === 0) {
      if (link.endedCalls.size > 0) link.endedCalls.clear();
      call?.arrive(frame);
    } else {
      const ended = call === undefined ? link.endedCalls.get(frame.callId) : undefined;
      if (call !== undefined) call.arrive(frame);
      else ended?.arriveLate(frame);
      for (const { ref } of recordings) this.#keep(ref, link.incoming.id, { frame, call: call ?? ended });
    }
    if (call === undefined) {
      link.arrivedForNobody(frame);
      return;
    }
    // A call that will be refused had better not begin.
    if (frame.type === FrameType.open) this.#makeRoom(link, call, frame);
    call.pumpToApplication();
    call.inbound.keepLast();
    if (call.inbound.next !== undefined) this.#makeRoom(link, call, frame);
  }

  /** Where too much is kept: the snapshots that hold frames back are given up, else the call ends that brings more. */
  #makeRoom(link: Link, call: CallEnd, frame: ArrivedFrame): void {
    const reason = link.kept.crowdedFor(frame.type);
    if (reason === undefined) return;
    const cutting = [...this.state.snapshots.values()].filter(({ phase }) => phase === "cutting");
    if (cutting.length > 0) {
      // Not from inside a step.
      queueMicrotask(() => {
        for (const { ref } of cutting) this.captureFailed(ref, "InboundTooLarge", reason);
      });
    }
    if (call.refuse(reason) === "waits" && link.kept.isOverfull) throw new FrameError(`${reason}, and more comes`);
  }

  /** Traffic is never the victim: the snapshots that hold it back are given up. Not from inside a step. */
  #crowded(link: Link): void {
    queueMicrotask(() => {
      const { bytes } = link.strays;
      const message = `${bytes} bytes for calls that are over wait on the channel ${link.incoming.id} for the cut`;
      for (const ref of holdersOf(this.state, link.incoming)) this.captureFailed(ref, "StraysTooLarge", message);
    });
  }

  #perform(
    effects: readonly CutEffect[],
    keptFrame?: (channel: string, number: number) => KeptRecord | undefined,
  ): void {
    for (const effect of effects) {
      switch (effect.type) {
        case "sendMarker":
          this.#byOutgoing.get(effect.channel)?.sendMarker(effect.number, effect.ref.snapshotId, effect.ref.attempt);
          break;
        case "record": {
          const record = keptFrame?.(effect.channel, effect.number);
          if (record !== undefined) this.#keep(effect.ref, effect.channel, record);
          break;
        }
        case "capture":
          this.#events.onCapture(effect.ref, effect.trigger);
          break;
        case "reportCut":
          this.#events.onCut(effect.report);
          break;
        case "reportChannel":
          this.#events.onChannel(effect.report);
          break;
        case "reportFailed":
          this.#events.onFailed(effect.ref, effect.code, effect.message);
          break;
        case "forget":
          this.#recorder.drop(effect.ref);
          this.#events.onForget(effect.ref);
          break;
        case "release":
          this.#release(effect.channel);
          break;
        case "numbered":
        case "deliver":
        case "hold":
          break;
      }
    }
  }

  #keep(ref: SnapshotRef, channel: string, record: KeptRecord): void {
    const outcome = this.#recorder.keep(ref, channel, record);
    if (outcome.outcome === "kept") return;
    // Traffic is never the victim: the snapshot is given up. Not from inside a step.
    queueMicrotask(() => this.captureFailed(ref, "RecordingTooLarge", outcome.message));
  }

  #release(channel: string): void {
    const link = this.#byIncoming.get(channel);
    if (link === undefined) return;
    link.settleStrays();
    for (const call of link.calls.values()) call.pumpToApplication();
  }

  #pumpToLink(link: Link): void {
    for (const call of link.calls.values()) {
      if (!link.hasRoom) return;
      call.pumpToLink();
    }
  }
}

function keptByCall(call: CallEnd): Iterable<ArrivedFrame> {
  return call.inbound.remaining();
}

function decodeMarker(payload: Buffer): Marker {
  try {
    const marker = Marker.decode(payload);
    if (marker.snapshotId !== "" && marker.attempt > 0) return marker;
  } catch (error) {
    throw new FrameError("a marker cannot be decoded", { cause: error });
  }
  throw new FrameError("a marker names no snapshot");
}
