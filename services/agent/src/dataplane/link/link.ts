import type { Socket } from "node:net";
import { LinkRefusal, Marker } from "@cutline/proto/link";
import {
  type IncomingChannel,
  LinkReceiver,
  LinkSender,
  mayDeliver,
  noteDelivery,
  numberFrame,
  type OutgoingChannel,
} from "@cutline/protocol";
import type { CallEnd } from "../call/call-end.ts";
import { encodeFrameHeader, FrameError, FrameType, frameHeaderBytes, isNumbered } from "./codec.ts";

export interface LinkPeer {
  readonly processId: string;
  readonly incarnation: string;
}

export interface LinkLimits {
  /** Sent and not acknowledged; beyond it calls wait. Default 64 MiB. */
  readonly unacknowledgedBytesMax: number;
  /** Calls open on one link. Default 10,000. */
  readonly openCallsMax: number;
  /** An acknowledgement goes out after this many bytes, frames, or this long. Defaults 256 KiB, 256, 50 ms. */
  readonly acknowledgeBytes: number;
  readonly acknowledgeFrames: number;
  readonly acknowledgeDelayMs: number;
}

export const defaultLinkLimits: LinkLimits = {
  unacknowledgedBytesMax: 64 * 1024 * 1024,
  openCallsMax: 10_000,
  acknowledgeBytes: 256 * 1024,
  acknowledgeFrames: 256,
  acknowledgeDelayMs: 50,
};

/** A numbered frame as it arrived. */
export interface ArrivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly number: number;
  readonly callId: number;
  readonly payload: Buffer;
}

/** What a link tells its owner. */
export interface LinkEvents {
  /** Called once per number, in order. */
  onArrival(link: Link, frame: ArrivedFrame): void;
  /** There is room again after `hasRoom` was false. */
  onRoom(link: Link): void;
  /** The peer has given the link up. */
  onClosedByPeer(link: Link, reason: string): void;
}

export interface LinkIdentity {
  readonly id: string;
  readonly peer: LinkPeer;
  readonly role: "dialler" | "acceptor";
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
const callIdMax = 2 ** 32 - 1;
const pongBacklogBytesMax = 1024 * 1024;
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
  readonly role: "dialler" | "acceptor";
  readonly outgoing: OutgoingChannel;
  readonly incoming: IncomingChannel;
  readonly calls = new Map<number, CallEnd>();
  /**
   * Calls that ended here while a snapshot records the incoming channel: what the peer had sent on them before its cut
   * still comes, and belongs into the channel state with its place in its call.
   */
  readonly endedCalls = new Map<number, CallEnd>();
  /** Frames of calls that are over already, waiting behind a marker. They are accounted for, and go nowhere. */
  readonly strays: ArrivedFrame[] = [];
  dead = false;

  readonly #limits: LinkLimits;
  readonly #events: LinkEvents;
  readonly #sender = new LinkSender<{ header: Buffer; payload: Uint8Array }>();
  readonly #receiver = new LinkReceiver();
  #nextCallId: number;
  #connections = 0;
  #socket: Socket | undefined;
  #corked = false;
  #wantsRoom = false;
  #acknowledgeTimer: NodeJS.Timeout | undefined;

  constructor(identity: LinkIdentity, channels: LinkChannels, limits: LinkLimits, events: LinkEvents) {
    this.id = identity.id;
    this.peer = identity.peer;
    this.role = identity.role;
    this.outgoing = channels.outgoing;
    this.incoming = channels.incoming;
    this.#limits = limits;
    this.#events = events;
    // Odd ids are the dialler's, even ones the acceptor's, so that both may open calls.
    this.#nextCallId = identity.role === "dialler" ? 1 : 2;
  }

  get connected(): boolean {
    return this.#socket !== undefined;
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

  get mayOpenCall(): boolean {
    return this.calls.size < this.#limits.openCallsMax;
  }

  get openCallsMax(): number {
    return this.#limits.openCallsMax;
  }

  /** An id that no open call has; they begin again after 2^31 calls. */
  takeCallId(): number {
    for (;;) {
      const id = this.#nextCallId;
      this.#nextCallId = id + 2 > callIdMax ? 2 - (id % 2) : id + 2;
      if (!this.calls.has(id)) return id;
    }
  }

  /** Whether the peer may have opened a call with this id. */
  isPeersCallId(id: number): boolean {
    return id % 2 === (this.role === "dialler" ? 0 : 1) && id > 0;
  }

  /** Numbers and sends an application frame. The payload is kept by reference until it is acknowledged. */
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
    this.#write(encodeFrameHeader(FrameType.credit, 0, grantedBytes, callId, 0), nothing);
  }

  ping(): void {
    this.#write(encodeFrameHeader(FrameType.ping, 0, 0, 0, 0), nothing);
  }

  readonly mayDeliver = (number: number): "deliver" | "hold" => mayDeliver(this.incoming, number);

  /** The application has received a frame, or nobody will. */
  delivered(frame: ArrivedFrame): void {
    if (mayDeliver(this.incoming, frame.number) === "deliver") noteDelivery(this.incoming, frame.number);
    else this.strays.push(frame);
  }

  /** After a release: strays no longer behind a marker are accounted for. */
  settleStrays(): void {
    const waiting = this.strays.splice(0);
    for (const frame of waiting) this.delivered(frame);
  }

  /**
   * Puts the link on a connection whose handshake is done, and replays. `impossible`: the peer claims to have what was
   * never sent or to lack what it acknowledged; the link cannot go on.
   */
  attach(socket: Socket, peerReceivedThrough: number): "attached" | "impossible" {
    const replay = this.#sender.replay(peerReceivedThrough);
    if (replay === undefined) return "impossible";
    this.#socket = socket;
    this.#corked = false;
    this.#receiver.takeAcknowledgement();
    for (const { frame } of replay) this.#write(frame.header, frame.payload);
    for (const call of this.calls.values()) call.regrant();
    this.#offerRoom();
    return "attached";
  }

  /** The connection is gone; frames are kept for the next one. */
  detach(socket: Socket): "detached" | "other" {
    if (this.#socket !== socket) return "other";
    this.#socket = undefined;
    clearTimeout(this.#acknowledgeTimer);
    this.#acknowledgeTimer = undefined;
    return "detached";
  }

  /** Tells the peer that the link is over, so that it does not wait for a resume. */
  closeConnection(reason: string): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    const goodbye = LinkRefusal.encode({ code: "CLOSED", message: reason }).finish();
    this.#write(encodeFrameHeader(FrameType.refusal, 0, 0, 0, goodbye.length), goodbye);
    this.detach(socket);
    socket.setTimeout(goodbyeTimeoutMs, () => socket.destroy());
    socket.end();
  }

  /** One frame from the connection. Throws {@link FrameError} when the peer breaks the protocol. */
  receive(type: number, flags: number, number: number, callId: number, payload: Buffer): void {
    if (this.dead) return;
    if (isNumbered(type)) {
      this.#receiveNumbered({ type, flags, number, callId, payload });
      return;
    }
    switch (type) {
      case FrameType.acknowledge:
        if (this.#sender.acknowledge(number) === "beyond") {
          throw new FrameError(`the peer acknowledged ${number}, but only ${this.lastSent} were sent`);
        }
        this.#offerRoom();
        return;
      case FrameType.credit:
        this.calls.get(callId)?.credited(number);
        return;
      case FrameType.ping:
        // A peer that does not read its answers gets none.
        if ((this.#socket?.writableLength ?? 0) < pongBacklogBytesMax) {
          this.#write(encodeFrameHeader(FrameType.pong, 0, 0, 0, 0), nothing);
        }
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
    this.#acknowledgeSoon();
  }

  #acknowledgeSoon(): void {
    const { acknowledgeBytes, acknowledgeFrames, acknowledgeDelayMs } = this.#limits;
    if (
      this.#receiver.unacknowledgedBytes >= acknowledgeBytes ||
      this.#receiver.unacknowledgedFrames >= acknowledgeFrames
    ) {
      this.#acknowledge();
      return;
    }
    this.#acknowledgeTimer ??= setTimeout(() => this.#acknowledge(), acknowledgeDelayMs);
  }

  #acknowledge(): void {
    clearTimeout(this.#acknowledgeTimer);
    this.#acknowledgeTimer = undefined;
    if (this.#receiver.unacknowledgedFrames === 0 || this.#socket === undefined) return;
    this.#write(encodeFrameHeader(FrameType.acknowledge, 0, this.#receiver.takeAcknowledgement(), 0, 0), nothing);
  }

  #sendNumbered(type: number, flags: number, number: number, callId: number, payload: Uint8Array): void {
    const header = encodeFrameHeader(type, flags, number, callId, payload.length);
    this.#sender.keep(number, frameHeaderBytes + payload.length, { header, payload });
    this.#write(header, payload);
  }

  /** All frames of one turn of the event loop leave in one write. */
  #write(header: Buffer, payload: Uint8Array): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      setImmediate(() => {
        if (this.#socket === socket) this.#corked = false;
        socket.uncork();
      });
    }
    socket.write(header);
    if (payload.length > 0) socket.write(payload);
  }

  #offerRoom(): void {
    if (!this.#wantsRoom || this.#sender.keptBytes >= this.#limits.unacknowledgedBytesMax) return;
    this.#wantsRoom = false;
    this.#events.onRoom(this);
  }
}
