import type { Socket } from "node:net";
import { LinkRefusal, Marker } from "@cutline/proto/link";
import {
  type AcknowledgeLimits,
  type IncomingChannel,
  LinkReceiver,
  type LinkRole,
  LinkSender,
  mayDeliver,
  numberFrame,
  type OutgoingChannel,
  type StrayOutcome,
  Strays,
} from "@cutline/protocol";
import { IdTable } from "@cutline/runtime";
import type { CallEnd } from "../call/call-end.ts";
import { FrameError, FrameType, frameHeaderBytes, isNumbered, unpin } from "./codec.ts";
import { ArrivedFrame } from "./frame.ts";
import type { KeptBytes } from "./kept-bytes.ts";
import { LinkOutput, type SentFrame, unsentFrame } from "./output.ts";

export interface LinkPeer {
  readonly processId: string;
  readonly incarnation: string;
}

/** `acknowledgeBytes` 256 KiB, `acknowledgeFrames` 256 and `acknowledgeDelayMs` 50 ms by default. */
export interface LinkLimits extends AcknowledgeLimits {
  /** Sent and not acknowledged; beyond it calls wait. Default 64 MiB. */
  readonly unacknowledgedBytesMax: number;
  /** Calls open on one link. Default 10,000. */
  readonly openCallsMax: number;
  /**
   * Frames of calls that are over, waiting behind a marker. Beyond half of it the snapshots that hold them are given
   * up; beyond it the link is. Default 32 MiB: the credit of a hundred calls that ended here while they were sent to.
   */
  readonly strayBytesMax: number;
  /**
   * Header blocks of one link that are kept for the application: from half of it on, snapshots that hold them are given
   * up and calls that bring more end RESOURCE_EXHAUSTED; beyond it the link is closed. Default 32 MiB.
   */
  readonly headerBytesMax: number;
  /**
   * Messages and header blocks that are kept for the application, of all links of the agent: beyond it calls get no
   * credit and no new one is taken in; beyond twice as much calls that bring more end RESOURCE_EXHAUSTED. Default 256 MiB.
   */
  readonly inboundBytesMax: number;
}

export const defaultLinkLimits: LinkLimits = {
  unacknowledgedBytesMax: 64 * 1024 * 1024,
  openCallsMax: 10_000,
  strayBytesMax: 32 * 1024 * 1024,
  headerBytesMax: 32 * 1024 * 1024,
  inboundBytesMax: 256 * 1024 * 1024,
  acknowledgeBytes: 256 * 1024,
  acknowledgeFrames: 256,
  acknowledgeDelayMs: 50,
};

/** What a link tells its owner. */
export interface LinkEvents {
  /** Called once per number, in order. */
  onArrival(link: Link, frame: ArrivedFrame): void;
  /** Too much waits behind the markers on its incoming channel: the snapshots that hold it have to give way. */
  onCrowded(link: Link): void;
  /** There is room again after `hasRoom` was false. */
  onRoom(link: Link): void;
  /** The peer has given the link up. */
  onClosedByPeer(link: Link, reason: string): void;
}

export interface LinkIdentity {
  readonly id: string;
  readonly peer: LinkPeer;
  readonly role: LinkRole;
}

export interface LinkChannels {
  readonly outgoing: OutgoingChannel;
  readonly incoming: IncomingChannel;
}

/** Channel ids are the link's with `:0` from the dialler to the acceptor and `:1` the other way. */
export function channelIds(identity: LinkIdentity): { outgoing: string; incoming: string } {
  const [toPeer, fromPeer] = identity.role === "dialler" ? [0, 1] : [1, 0];
  return { outgoing: `${identity.id}:${toPeer}`, incoming: `${identity.id}:${fromPeer}` };
}

const nothing = Buffer.alloc(0);
/** What a frame costs that is kept until it is acknowledged, beside its payload: most of it is not its 16 bytes of header. */
const keptFrameBytes = 128;
/** Read since frames were last looked through for those that keep a whole read. */
const pinnedBytesMax = 8 * 1024 * 1024;
const callIdMax = 2 ** 31 - 1;
/** How long a peer may take to close its side of a link that is over. */
const goodbyeTimeoutMs = 1_000;

function decodeRefusal(payload: Buffer): string {
  try {
    return LinkRefusal.decode(payload).message;
  } catch (error) {
    throw new FrameError("a refusal cannot be decoded", { cause: error });
  }
}

/**
 * One link: two numbered channels and the calls on them, over whichever connection it has at the moment. It outlives
 * its connections: what was not acknowledged is sent again on the next one.
 */
export class Link {
  readonly id: string;
  readonly peer: LinkPeer;
  readonly role: LinkRole;
  readonly outgoing: OutgoingChannel;
  readonly incoming: IncomingChannel;
  readonly calls = new IdTable<CallEnd>();
  /**
   * Calls that ended here while a snapshot records the incoming channel: what the peer had sent on them before its cut
   * still comes, and belongs into the channel state with its place in its call.
   */
  readonly endedCalls = new Map<number, CallEnd>();
  /** Frames of calls that are over already, waiting behind a marker. They are accounted for, and go nowhere. */
  readonly strays: Strays<ArrivedFrame>;
  /** What its calls keep for the application. */
  readonly kept: KeptBytes;
  dead = false;
  /** Connections that it has been on, the one it is on included. */
  attachments = 0;

  readonly #limits: LinkLimits;
  readonly #events: LinkEvents;
  readonly #sender = new LinkSender<SentFrame>();
  readonly #receiver = new LinkReceiver();
  #nextCallId: number;
  #connections = 0;
  #connection: { readonly socket: Socket; readonly output: LinkOutput } | undefined;
  #wantsRoom = false;
  #unpinnedBytes = 0;
  #acknowledgeTimer: NodeJS.Timeout | undefined;

  constructor(identity: LinkIdentity, channels: LinkChannels, kept: KeptBytes, limits: LinkLimits, events: LinkEvents) {
    this.id = identity.id;
    this.peer = identity.peer;
    this.role = identity.role;
    this.outgoing = channels.outgoing;
    this.incoming = channels.incoming;
    this.strays = new Strays<ArrivedFrame>(channels.incoming, limits.strayBytesMax, unpin);
    this.#limits = limits;
    this.kept = kept;
    this.#events = events;
    // Odd ids are the dialler's, even ones the acceptor's, so that both may open calls.
    this.#nextCallId = identity.role === "dialler" ? 1 : 2;
  }

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  get receivedThrough(): number {
    return this.#receiver.receivedThrough;
  }

  /** Acceptor: whether the dialler's connection of this count may have the link. */
  admit(connection: number): "newer" | "stale" {
    return this.#receiver.admit(connection);
  }

  /** Dialler: the count of the connection to be made now. */
  countConnection(): number {
    this.#connections += 1;
    return this.#connections;
  }

  /** Grows with whatever gets across in either direction. */
  get progress(): number {
    return this.#receiver.receivedThrough + this.#sender.acknowledgedThrough;
  }

  get lastSent(): number {
    return this.outgoing.lastNumber;
  }

  /** Whether application frames may be numbered now; if not, `onRoom` follows. Markers do not ask. */
  get hasRoom(): boolean {
    if (this.#sender.keptBytes < this.#limits.unacknowledgedBytesMax) return true;
    this.#wantsRoom = true;
    return false;
  }

  /** Kept until the peer acknowledges them. */
  get unacknowledgedBytes(): number {
    return this.#sender.keptBytes;
  }

  get mayOpenCall(): boolean {
    return this.calls.size < this.#limits.openCallsMax;
  }

  get openCallsMax(): number {
    return this.#limits.openCallsMax;
  }

  /** An id that no open call has; they begin again after 2^30 calls. */
  takeCallId(): number {
    for (;;) {
      const id = this.#nextCallId;
      this.#nextCallId = id + 2 > callIdMax ? 2 - (id % 2) : id + 2;
      if (!this.calls.has(id)) return id;
    }
  }

  /** Whether the peer may have opened a call with this id. */
  isPeersCallId(id: number): boolean {
    return id % 2 === (this.role === "dialler" ? 0 : 1) && id > 0 && id <= callIdMax;
  }

  /** Numbers and sends an application frame, and keeps it until it is acknowledged. `payload` may be shared memory. */
  send(type: number, flags: number, callId: number, payload: Uint8Array = nothing): number {
    const number = numberFrame(this.outgoing);
    this.#sendNumbered(type, flags, number, callId, payload);
    return number;
  }

  /** Sends a marker that the protocol has numbered. */
  sendMarker(number: number, snapshotId: string, attempt: number): void {
    this.#sendNumbered(FrameType.marker, 0, number, 0, Marker.encode({ snapshotId, attempt, initiator: "" }).finish());
  }

  /** Grants credit up to `grantedBytes` of message payload since the call began. Absolute, so that repeating is harmless. */
  grant(callId: number, grantedBytes: number): void {
    this.#control(FrameType.credit, grantedBytes, callId);
  }

  ping(): void {
    this.#control(FrameType.ping, 0, 0);
  }

  readonly mayDeliver = (number: number): "deliver" | "hold" => mayDeliver(this.incoming, number);

  /** The application has received a frame of a call, or nobody will. */
  delivered(frame: ArrivedFrame): void {
    this.#account(frame);
  }

  /** A frame came for a call that is over. Throws {@link FrameError} when the peer sends more than calls had credit for. */
  arrivedForNobody(frame: ArrivedFrame): void {
    if (this.#account(frame) === "full") {
      const bytesMax = this.#limits.strayBytesMax;
      throw new FrameError(`more than ${bytesMax} bytes came for calls that are over, behind a marker`);
    }
  }

  /** After a release: strays no longer behind a marker are accounted for. */
  settleStrays(): void {
    this.strays.settle();
  }

  /**
   * Puts the link on a connection whose handshake is done, and replays. `impossible`: the peer claims to have what was
   * never sent or to lack what it acknowledged; the link cannot go on.
   */
  attach(socket: Socket, peerReceivedThrough: number): "attached" | "impossible" {
    const replay = this.#sender.replay(peerReceivedThrough);
    if (replay === undefined) return "impossible";
    const output = new LinkOutput(socket);
    socket.on("drain", () => {
      output.isBacklogged = false;
    });
    this.#connection = { socket, output };
    this.attachments += 1;
    this.#receiver.takeAcknowledgement();
    for (const { frame } of replay) output.again(frame);
    for (const call of this.calls.values()) call.regrant();
    this.#offerRoom();
    return "attached";
  }

  /** The connection is gone; frames are kept for the next one. */
  detach(socket: Socket): "detached" | "other" {
    if (this.#connection?.socket !== socket) return "other";
    this.#connection = undefined;
    clearTimeout(this.#acknowledgeTimer);
    this.#acknowledgeTimer = undefined;
    return "detached";
  }

  /** Tells the peer that the link is over, so that it does not wait for a resume. */
  closeConnection(reason: string): void {
    if (this.#connection === undefined) return;
    const { socket, output } = this.#connection;
    const goodbye = LinkRefusal.encode({ code: "CLOSED", message: reason }).finish();
    this.#control(FrameType.refusal, 0, 0, goodbye);
    output.flush();
    this.detach(socket);
    socket.setTimeout(goodbyeTimeoutMs, () => socket.destroy());
    socket.end();
  }

  /** One frame from the connection. Throws {@link FrameError} when the peer breaks the protocol. */
  receive(type: number, flags: number, number: number, callId: number, payload: Buffer): void {
    if (this.dead) return;
    if (isNumbered(type)) {
      this.#receiveNumbered(new ArrivedFrame(type, flags, number, callId, payload));
      return;
    }
    switch (type) {
      case FrameType.acknowledge:
        if (this.#sender.acknowledge(number) === "beyond") {
          throw new FrameError(`the peer acknowledged ${number}, but only ${this.lastSent} were sent`);
        }
        this.#connection?.output.acknowledged(number);
        this.#offerRoom();
        return;
      case FrameType.credit:
        this.calls.get(callId)?.credited(number);
        return;
      case FrameType.ping:
        // A peer that does not read its answers gets none.
        if (this.#connection?.output.isBacklogged === false) this.#control(FrameType.pong, 0, 0);
        return;
      case FrameType.refusal:
        this.#events.onClosedByPeer(this, `the peer closed the link: ${decodeRefusal(payload)}`);
        return;
      case FrameType.pong:
        return;
      default:
        throw new FrameError(`frame type ${type} is not allowed after the handshake`);
    }
  }

  #receiveNumbered(frame: ArrivedFrame): void {
    const bytes = frameHeaderBytes + frame.payload.length;
    const outcome = this.#receiver.receive(frame.number, bytes);
    if (outcome === "duplicate") return;
    if (outcome === "gap") {
      throw new FrameError(`frame ${frame.number} came after ${this.#receiver.receivedThrough}: some are missing`);
    }
    this.#events.onArrival(this, frame);
    this.#unpinnedBytes += bytes;
    if (this.#unpinnedBytes > pinnedBytesMax) this.#unpin();
    this.#acknowledgeSoon();
  }

  /** Small frames that are kept for long must not keep the reads that they came by: each may be 64 KiB. */
  #unpin(): void {
    this.#unpinnedBytes = 0;
    for (const call of this.calls.values()) call.unpin();
  }

  #account(frame: ArrivedFrame): StrayOutcome {
    const outcome = this.strays.take(frame, frame.payload.length);
    if (outcome === "crowded" || outcome === "full") this.#events.onCrowded(this);
    return outcome;
  }

  #acknowledgeSoon(): void {
    if (this.#receiver.acknowledgeWhen(this.#limits) === "now") this.#acknowledge();
    else this.#acknowledgeTimer ??= setTimeout(() => this.#acknowledge(), this.#limits.acknowledgeDelayMs);
  }

  #acknowledge(): void {
    clearTimeout(this.#acknowledgeTimer);
    this.#acknowledgeTimer = undefined;
    if (this.#receiver.unacknowledgedFrames === 0 || this.#connection === undefined) return;
    this.#control(FrameType.acknowledge, this.#receiver.takeAcknowledgement(), 0);
  }

  #sendNumbered(type: number, flags: number, number: number, callId: number, payload: Uint8Array): void {
    const output = this.#connection?.output;
    const sent =
      output === undefined
        ? unsentFrame(type, flags, number, callId, payload)
        : output.frame(type, flags, number, callId, payload);
    this.#sender.keep(number, keptFrameBytes + payload.length, sent);
  }

  #control(type: number, number: number, callId: number, payload: Uint8Array = nothing): void {
    this.#connection?.output.control(type, number, callId, payload);
  }

  #offerRoom(): void {
    if (!this.#wantsRoom || this.#sender.keptBytes >= this.#limits.unacknowledgedBytesMax) return;
    this.#wantsRoom = false;
    this.#events.onRoom(this);
  }
}
