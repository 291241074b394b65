import {
  type AcknowledgeLimits,
  type IncomingChannel,
  type LinkParty,
  LinkReceiver,
  type LinkRole,
  LinkSender,
  mayDeliver,
  numberFrame,
  type OutgoingChannel,
  type SnapshotRef,
  type StrayOutcome,
  Strays,
} from "@cutline/protocol";
import type { Unit } from "../checkers/history.ts";
import type { Timer } from "../engine/engine.ts";
import type { LocalClock } from "../engine/local-clock.ts";
import type { CallEnd } from "./call.ts";
import type { Connection, Side } from "./connection.ts";
import type { NumberedFrame, WireFrame } from "./wire.ts";

export type PieceFrame = Extract<NumberedFrame, { type: "piece" }>;

export interface LinkLimits extends AcknowledgeLimits {
  readonly unacknowledgedBytesMax: number;
  readonly strayBytesMax: number;
}

export interface LinkIdentity {
  readonly id: string;
  readonly lane: string;
  readonly peer: LinkParty;
  readonly role: LinkRole;
}

export interface LinkEvents {
  onNumbered(link: Link, frame: NumberedFrame): void;
  onArrival(link: Link, frame: NumberedFrame): void;
  onDiscarded(link: Link, frame: PieceFrame): void;
  onCrowded(link: Link): void;
  onRoom(link: Link): void;
}

/** What the peer did cannot be; the connection goes, as in the agent. */
export class FrameError extends Error {}

/** One end of a link, as services/agent/src/dataplane/link/link.ts has it. */
export class Link {
  readonly id: string;
  readonly lane: string;
  readonly peer: LinkParty;
  readonly role: LinkRole;
  readonly outgoing: OutgoingChannel;
  readonly incoming: IncomingChannel;
  readonly calls = new Map<number, CallEnd>();
  readonly strays: Strays<PieceFrame>;
  dead = false;
  resumeTimer: Timer | undefined;
  readonly #clock: LocalClock;
  readonly #limits: LinkLimits;
  readonly #events: LinkEvents;
  readonly #sender = new LinkSender<NumberedFrame>();
  readonly #receiver = new LinkReceiver();
  #nextCallId: number;
  #connections = 0;
  #connection: { readonly connection: Connection<WireFrame>; readonly side: Side } | undefined;
  #wantsRoom = false;
  #acknowledgeTimer: Timer | undefined;

  constructor(
    identity: LinkIdentity,
    channels: { outgoing: OutgoingChannel; incoming: IncomingChannel },
    clock: LocalClock,
    limits: LinkLimits,
    events: LinkEvents,
  ) {
    this.id = identity.id;
    this.lane = identity.lane;
    this.peer = identity.peer;
    this.role = identity.role;
    this.outgoing = channels.outgoing;
    this.incoming = channels.incoming;
    this.#clock = clock;
    this.strays = new Strays<PieceFrame>(channels.incoming, limits.strayBytesMax);
    this.#limits = limits;
    this.#events = events;
    this.#nextCallId = identity.role === "dialler" ? 1 : 2;
  }

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  get receivedThrough(): number {
    return this.#receiver.receivedThrough;
  }

  admit(connection: number): "newer" | "stale" {
    return this.#receiver.admit(connection);
  }

  countConnection(): number {
    this.#connections += 1;
    return this.#connections;
  }

  get progress(): number {
    return this.#receiver.receivedThrough + this.#sender.acknowledgedThrough;
  }

  get hasRoom(): boolean {
    if (this.#sender.keptBytes < this.#limits.unacknowledgedBytesMax) return true;
    this.#wantsRoom = true;
    return false;
  }

  takeCallId(): number {
    const id = this.#nextCallId;
    this.#nextCallId += 2;
    return id;
  }

  send(callId: number, unit: Unit, piece: number, bytes: number, script: unknown): void {
    const number = numberFrame(this.outgoing);
    this.#sendNumbered({ type: "piece", number, bytes, callId, piece, unit, script });
  }

  sendMarker(number: number, ref: SnapshotRef): void {
    this.#sendNumbered({ type: "marker", number, bytes: 40, ref });
  }

  grant(callId: number, grantedBytes: number): void {
    this.#write({ type: "credit", callId, grantedBytes });
  }

  mayDeliver(number: number): "deliver" | "hold" {
    return mayDeliver(this.incoming, number);
  }

  /** Nobody will receive it: it counts as delivered as soon as no marker stands before it. */
  stray(frame: PieceFrame): StrayOutcome {
    const outcome = this.strays.take(frame, frame.bytes);
    if (outcome === "accounted") this.#events.onDiscarded(this, frame);
    if (outcome === "crowded" || outcome === "full") this.#events.onCrowded(this);
    return outcome;
  }

  settleStrays(): void {
    for (const frame of this.strays.settle()) this.#events.onDiscarded(this, frame);
  }

  attach(connection: Connection<WireFrame>, side: Side, peerReceivedThrough: number): "attached" | "impossible" {
    const replay = this.#sender.replay(peerReceivedThrough);
    if (replay === undefined) return "impossible";
    this.#connection = { connection, side };
    this.#receiver.takeAcknowledgement();
    for (const { frame } of replay) this.#write(frame);
    for (const call of this.calls.values()) call.regrant();
    this.#offerRoom();
    return "attached";
  }

  detach(connection: Connection<WireFrame>): "detached" | "other" {
    if (this.#connection?.connection !== connection) return "other";
    this.#connection = undefined;
    this.#acknowledgeTimer?.cancel();
    this.#acknowledgeTimer = undefined;
    return "detached";
  }

  closeConnection(): void {
    const at = this.#connection;
    if (at === undefined) return;
    this.#write({ type: "refusal", code: "CLOSED" });
    this.detach(at.connection);
    at.connection.close(at.side);
  }

  /** Throws {@link FrameError} when the peer breaks the protocol. */
  receive(frame: WireFrame): "taken" | "closedByPeer" {
    if (this.dead) return "taken";
    switch (frame.type) {
      case "piece":
      case "marker": {
        const outcome = this.#receiver.receive(frame.number, frame.bytes);
        if (outcome === "duplicate") return "taken";
        if (outcome === "gap") throw new FrameError(`frame ${frame.number} after ${this.receivedThrough}`);
        this.#events.onArrival(this, frame);
        this.#acknowledgeSoon();
        return "taken";
      }
      case "acknowledge":
        if (this.#sender.acknowledge(frame.number) === "beyond") throw new FrameError("acknowledged what was not sent");
        this.#offerRoom();
        return "taken";
      case "credit":
        this.calls.get(frame.callId)?.credited(frame.grantedBytes);
        return "taken";
      case "refusal":
        return "closedByPeer";
      default:
        throw new FrameError(`${frame.type} after the handshake`);
    }
  }

  #acknowledgeSoon(): void {
    if (this.#receiver.acknowledgeWhen(this.#limits) === "now") this.#acknowledge();
    else this.#acknowledgeTimer ??= this.#clock.after(this.#limits.acknowledgeDelayMs, () => this.#acknowledge());
  }

  #acknowledge(): void {
    this.#acknowledgeTimer?.cancel();
    this.#acknowledgeTimer = undefined;
    if (this.#receiver.unacknowledgedFrames === 0 || this.#connection === undefined) return;
    this.#write({ type: "acknowledge", number: this.#receiver.takeAcknowledgement() });
  }

  #sendNumbered(frame: NumberedFrame): void {
    this.#sender.keep(frame.number, frame.bytes, frame);
    this.#events.onNumbered(this, frame);
    this.#write(frame);
  }

  #write(frame: WireFrame): void {
    this.#connection?.connection.send(this.#connection.side, frame);
  }

  #offerRoom(): void {
    if (!this.#wantsRoom || this.#sender.keptBytes >= this.#limits.unacknowledgedBytesMax) return;
    this.#wantsRoom = false;
    this.#events.onRoom(this);
  }
}
