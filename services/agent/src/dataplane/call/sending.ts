import { ownBytes } from "@cutline/runtime";
import { FrameFlag, FrameType } from "../link/codec.ts";
import type { Link } from "../link/link.ts";
import type { CallHost, CallRole } from "./call-host.ts";
import type { Credit } from "./credit.ts";
import { standsBefore } from "./gate.ts";
import { type OutboundItem, OutboundQueue } from "./outbound-queue.ts";
import { endRole, headersRole, messageRole, type Position } from "./position.ts";
import { type BodySplitter, GrpcSplitter, type MessagePiece, OpaqueSplitter } from "./splitter.ts";

export interface SendingOptions {
  readonly role: CallRole;
  readonly host: CallHost;
  readonly link: Link;
  readonly callId: number;
  readonly isGrpc: boolean;
  readonly credit: Credit;
  /** The last frame of this direction has been numbered: a half-close, trailers or a reset. */
  onEnded(type: number): void;
  /** Whether the application's stream shall be read. */
  setReading(reading: "paused" | "flowing"): void;
}

/** The direction of a call from the application to the link: what it has sent, and what of it may be numbered now. */
export class Sending {
  readonly queue = new OutboundQueue();
  /** While a cut settles: what the application had sent at its capture. */
  cutTarget: Position | undefined;
  readonly #options: SendingOptions;
  #splitter: BodySplitter;
  /** `halfClosed`: only a reset may still be sent over the link. `ended`: nothing. */
  #phase: "open" | "halfClosed" | "ended" = "open";
  /** Caller: the opening headers have been numbered. */
  #opened = false;
  #paused = false;

  constructor(options: SendingOptions) {
    this.#options = options;
    this.#splitter = options.isGrpc ? new GrpcSplitter(options.host.limits.messageBytesMax) : new OpaqueSplitter();
  }

  /** What follows is not gRPC, though the call is: an error page of a proxy, say. */
  bodyIsOpaque(): void {
    if (!this.#splitter.inMessage) this.#splitter = new OpaqueSplitter();
  }

  get phase(): "open" | "halfClosed" | "ended" {
    return this.#phase;
  }

  /** The application's stream is not read, for want of credit or room. */
  get isPaused(): boolean {
    return this.#paused;
  }

  get isInsideMessage(): boolean {
    return this.#splitter.inMessage;
  }

  /** Of the message that was `tooLarge`. */
  get refusedBytes(): number {
    return this.#splitter.refusedBytes;
  }

  /** Whether all that the application had sent before its cut has come out of its sockets. */
  get hasReadTarget(): boolean {
    return this.cutTarget === undefined || this.queue.hasRead(this.cutTarget);
  }

  /** What the application sent before its cut and the link has not taken: the call's share of the outbox. */
  outbox(): OutboundItem[] {
    const { cutTarget } = this;
    const items: OutboundItem[] = [];
    for (const item of this.queue.remaining()) {
      if (cutTarget === undefined || !standsBefore(cutTarget, item)) break;
      items.push(item);
    }
    return items;
  }

  /** Bytes of the body. `tooLarge`: the message that begins exceeds the limit; the rest must not be sent. */
  takeData(chunk: Buffer): "ok" | "tooLarge" {
    if (this.queue.read.end || this.#phase !== "open") return "ok";
    return this.#splitter.split(chunk, this.#onPiece);
  }

  /** Headers, or an end: a half-close, trailers, or (in a cut) a reset. */
  take(type: number, flags: number, payload: Uint8Array, part: "headers" | "end"): void {
    if (this.#phase === "ended" || (this.queue.read.end && type !== FrameType.reset)) return;
    const role = part === "end" ? endRole : headersRole;
    this.#take({ type, flags, payload, role, offsetBytes: 0, messageBytes: 0 }, false);
  }

  /** Sends what may be sent now. */
  pump(): void {
    if (this.#phase === "ended") return;
    for (let item = this.queue.next; item !== undefined; item = this.queue.next) {
      if (!this.#maySend(item)) break;
      this.queue.takeNext();
      this.#send(item);
    }
    this.#paceReading();
  }

  /**
   * Drops what has not gone out, and tells the peer, if it has heard of the call and thinks it open, that nothing more
   * comes. `peer`: whether it has sent its own end.
   */
  endWith(reset: Uint8Array, peer: "ended" | "open"): void {
    const { role, link, callId } = this.#options;
    this.queue.clear();
    if (this.#phase === "ended") return;
    const isOverForPeer = this.#phase === "halfClosed" && peer === "ended";
    const isKnownToPeer = role === "callee" || this.#opened;
    this.#phase = "ended";
    if (isKnownToPeer && !isOverForPeer) link.send(FrameType.reset, 0, callId, reset);
  }

  /** The peer knows already that nothing more comes, or cannot be told. */
  endSilently(): void {
    this.#phase = "ended";
    this.queue.clear();
  }

  /** Reads on in spite of missing credit: what was sent before the cut must come out of the sockets. */
  readForCut(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#options.setReading("flowing");
  }

  readonly #onPiece = (piece: MessagePiece): void => {
    const item: OutboundItem = {
      type: FrameType.message,
      flags: piece.endOfMessage ? FrameFlag.endOfMessage : 0,
      payload: piece.bytes,
      role: messageRole(piece.messageIndex),
      offsetBytes: piece.offsetBytes,
      messageBytes: piece.messageBytes,
    };
    this.#take(item, piece.endOfMessage);
  };

  #take(item: OutboundItem, endOfMessage: boolean): void {
    this.queue.noteRead(item, endOfMessage);
    this.#options.host.gate.noteCrossing();
    if (this.queue.isEmpty && this.#maySend(item)) {
      this.#send(item);
      return;
    }
    this.queue.append({ ...item, payload: ownBytes(item.payload) });
    this.#paceReading();
  }

  #maySend(item: OutboundItem): boolean {
    const { host, credit, link } = this.#options;
    if (!host.gate.mayLeave(item, this.cutTarget)) return false;
    if (item.type === FrameType.message && !credit.maySend) return false;
    return link.hasRoom;
  }

  #send(item: OutboundItem): void {
    if (this.#phase === "ended") return;
    const { link, callId, credit, onEnded } = this.#options;
    if (item.type === FrameType.open) this.#opened = true;
    if (item.type === FrameType.message) credit.noteSent(item.payload.length);
    link.send(item.type, item.flags, callId, item.payload);
    if (item.role.part !== "end") return;
    this.#phase = item.type === FrameType.halfClose ? "halfClosed" : "ended";
    onEnded(item.type);
  }

  #paceReading(): void {
    const { host, setReading } = this.#options;
    const full = this.queue.heldBytes >= host.limits.waitingBytesMax;
    if (full === this.#paused) return;
    // While a cut waits for this call, it is read whatever waits.
    if (full && !this.hasReadTarget) return;
    this.#paused = full;
    setReading(full ? "paused" : "flowing");
  }
}
