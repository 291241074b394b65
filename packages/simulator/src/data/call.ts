import type { Unit } from "../checkers/history.ts";
import type { Link, PieceFrame } from "./link.ts";

/** A piece that the application has sent and the link has not numbered. */
export interface WaitingPiece {
  readonly unit: Unit;
  readonly piece: number;
  readonly bytes: number;
  readonly script: unknown;
}

export interface CallEvents {
  /** Whether pieces may be numbered now. */
  mayNumber(): boolean;
  /** A whole unit stands first and may be received. */
  onReady(call: CallEnd): void;
}

/** One end of one call: what waits to be numbered, and what arrived and is not received. */
export class CallEnd {
  readonly link: Link;
  readonly id: number;
  readonly role: "caller" | "callee";
  /** What its application will do with it. */
  script: unknown;
  readonly outbound: WaitingPiece[] = [];
  readonly inbound: PieceFrame[] = [];
  /** The callee has answered early: what still comes is nobody's. */
  discarding = false;
  reading = false;
  sentEnd = false;
  receivedEnd = false;
  over = false;
  readonly #events: CallEvents;
  readonly #windowBytes: number;
  #sentBytes = 0;
  #peerGrantedBytes: number;
  #receivedBytes = 0;
  #grantedBytes: number;

  constructor(link: Link, id: number, role: "caller" | "callee", windowBytes: number, events: CallEvents) {
    this.link = link;
    this.id = id;
    this.role = role;
    this.#events = events;
    this.#windowBytes = windowBytes;
    this.#peerGrantedBytes = windowBytes;
    this.#grantedBytes = windowBytes;
  }

  send(unit: Unit, bytes: readonly number[], script: unknown): void {
    bytes.forEach((size, piece) => {
      this.outbound.push({ unit, piece, bytes: size, script });
    });
    this.pumpToLink();
  }

  pumpToLink(): void {
    while (!this.link.dead) {
      const next = this.outbound[0];
      if (next === undefined || !this.#events.mayNumber() || !this.link.hasRoom) return;
      const counted = next.unit.kind === "message";
      if (counted && this.#sentBytes >= this.#peerGrantedBytes) return;
      if (counted) this.#sentBytes += next.bytes;
      this.outbound.shift();
      this.link.send(this.id, next.unit, next.piece, next.bytes, next.script);
    }
  }

  credited(grantedBytes: number): void {
    if (grantedBytes <= this.#peerGrantedBytes) return;
    this.#peerGrantedBytes = grantedBytes;
    this.pumpToLink();
  }

  /** What came for it goes to its reader, or to nobody. */
  arrive(frame: PieceFrame): void {
    // A message is handed on piece by piece, and received when it is whole: only its last piece waits for a reader.
    if (this.discarding || !isLastPiece(frame)) this.#noteReceived(frame);
    if (this.discarding) this.link.stray(frame);
    else this.inbound.push(frame);
  }

  /** The first unit, when all of it is here and none of it waits behind a marker. */
  readyUnit(): readonly PieceFrame[] | undefined {
    const first = this.inbound[0];
    if (first === undefined || this.inbound.length < first.unit.pieces) return undefined;
    const frames = this.inbound.slice(0, first.unit.pieces);
    return frames.every(({ number }) => this.link.mayDeliver(number) === "deliver") ? frames : undefined;
  }

  pumpToApplication(): void {
    if (!this.reading && !this.discarding && this.readyUnit() !== undefined) this.#events.onReady(this);
  }

  take(frames: readonly PieceFrame[]): void {
    this.inbound.splice(0, frames.length);
    for (const frame of frames) if (isLastPiece(frame)) this.#noteReceived(frame);
  }

  /** Nobody reads it any more. */
  discard(): void {
    this.discarding = true;
    for (const frame of this.inbound.splice(0)) {
      if (isLastPiece(frame)) this.#noteReceived(frame);
      this.link.stray(frame);
    }
  }

  regrant(): void {
    if (this.#grantedBytes > this.#windowBytes) this.link.grant(this.id, this.#grantedBytes);
  }

  #noteReceived({ unit, bytes }: PieceFrame): void {
    if (unit.kind !== "message") return;
    this.#receivedBytes += bytes;
    const grant = this.#receivedBytes + this.#windowBytes;
    if (grant - this.#grantedBytes < this.#windowBytes / 2) return;
    this.#grantedBytes = grant;
    this.link.grant(this.id, grant);
  }
}

function isLastPiece({ unit, piece }: PieceFrame): boolean {
  return piece === unit.pieces - 1;
}
