import { isShared } from "@cutline/runtime";
import { FrameFlag, FrameType, unpin } from "../link/codec.ts";
import type { ArrivedFrame } from "../link/frame.ts";
import { decodeHeaders } from "../link/headers.ts";
import type { KeptBytes } from "../link/kept-bytes.ts";
import { covers, endRole, headersRole, messageRole, type Position } from "./position.ts";

/**
 * Frames for the application of one call, in order: first those handed over and not known to be received, then those
 * not handed over. A frame leaves when the application has received it, because until then it may turn out, at a cut,
 * to be in flight.
 */
export class InboundQueue {
  #frames: (ArrivedFrame | undefined)[] = [];
  #head = 0;
  #handed = 0;
  #messages = 0;
  #messagesHanded = 0;
  #messagesTaken = 0;
  /** Of the message that has been handed over in part. */
  #handedPieces = 0;
  #offset = 0;
  #messageBytes = 0;
  #bytes = 0;
  readonly #kept: KeptBytes | undefined;

  /** `kept`: counts what all queues of a link keep. */
  constructor(kept?: KeptBytes) {
    this.#kept = kept;
  }

  /** Works out the frame's place in the call and appends it. Throws `FrameError` for a header block that is none. */
  append(frame: ArrivedFrame): void {
    this.#locate(frame);
    this.#frames.push(frame);
    this.#bytes += frame.payload.length;
    this.#kept?.add(frame);
  }

  /** The next frame to hand over. */
  get next(): ArrivedFrame | undefined {
    return this.#frames[this.#handed];
  }

  /** The frame that came last, if it is still here, must not keep the read that it came by, nor change with the next. */
  keepLast(): void {
    const last = this.#frames[this.#frames.length - 1];
    if (last === undefined) return;
    if (this.next !== undefined) unpin(last);
    // It has been handed over, and will not stay for long: a copy out of the pool will do.
    else if (isShared(last.payload)) last.payload = Buffer.from(last.payload);
  }

  /** Notes that `next` has been handed over. */
  advance(): void {
    const frame = this.#frames[this.#handed];
    this.#handed += 1;
    if (frame?.type !== FrameType.message) this.#handedPieces = 0;
    else if ((frame.flags & FrameFlag.endOfMessage) === 0) this.#handedPieces += 1;
    else {
      this.#handedPieces = 0;
      this.#messagesHanded += 1;
    }
  }

  /** Leaves `next` out: nobody will get it. */
  skip(): void {
    this.#handed += 1;
    this.#handedPieces = 0;
  }

  /** Whole messages handed over since the call began. */
  get messagesHanded(): number {
    return this.#messagesHanded;
  }

  get isEmpty(): boolean {
    return this.#head === this.#frames.length;
  }

  /** Payload bytes kept here. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whole messages taken out since the call began: those that count as received. */
  get messagesTaken(): number {
    return this.#messagesTaken;
  }

  /** Whether a message has been handed over in part. */
  get handedInsideMessage(): boolean {
    return this.#handedPieces > 0;
  }

  /** Takes out, in order, the handed frames that the position covers. */
  takeReceived(position: Position, taken: (frame: ArrivedFrame) => void): void {
    while (this.#head < this.#handed) {
      const frame = this.#frames[this.#head];
      if (frame === undefined || !covers(position, frame.role)) return;
      this.#takeHead(frame, taken);
    }
  }

  /** Takes out every handed frame but the pieces of a message that has not been handed over to its end. */
  takeHanded(taken: (frame: ArrivedFrame) => void): void {
    const end = this.#handed - this.#handedPieces;
    // Counted, because taking one out may move the rest.
    for (let left = end - this.#head; left > 0; left -= 1) {
      const frame = this.#frames[this.#head];
      if (frame === undefined) return;
      this.#takeHead(frame, taken);
    }
  }

  /** Takes out everything: the call is over and nobody will receive the rest. */
  takeAll(taken: (frame: ArrivedFrame) => void): void {
    for (; this.#head < this.#frames.length; ) {
      const frame = this.#frames[this.#head];
      if (frame === undefined) break;
      this.#takeHead(frame, taken);
    }
    this.#handed = this.#head;
    this.#handedPieces = 0;
  }

  /** All frames that are still here, in order. */
  *remaining(): Generator<ArrivedFrame> {
    for (let at = this.#head; at < this.#frames.length; at += 1) {
      const frame = this.#frames[at];
      if (frame !== undefined) yield frame;
    }
  }

  #takeHead(frame: ArrivedFrame, taken: (frame: ArrivedFrame) => void): void {
    this.#frames[this.#head] = undefined;
    if (frame.type === FrameType.message && (frame.flags & FrameFlag.endOfMessage) !== 0) this.#messagesTaken += 1;
    this.#head += 1;
    this.#bytes -= frame.payload.length;
    this.#kept?.remove(frame);
    if (this.#handed < this.#head) this.#handed = this.#head;
    if (this.#head >= 64 && this.#head * 2 >= this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head);
      this.#handed -= this.#head;
      this.#head = 0;
    }
    taken(frame);
  }

  #locate(frame: ArrivedFrame): void {
    const { type, payload } = frame;
    if (type !== FrameType.message) {
      const hasHeaders = type === FrameType.open || type === FrameType.headers;
      frame.role = hasHeaders ? headersRole : endRole;
      if (hasHeaders || type === FrameType.trailers) frame.headers = decodeHeaders(payload);
      return;
    }
    if (this.#offset === 0) this.#messageBytes = payload.length >= 5 ? payload.readUInt32BE(1) + 5 : 0;
    frame.role = messageRole(this.#messages);
    frame.offsetBytes = this.#offset;
    frame.messageBytes = this.#messageBytes;
    if ((frame.flags & FrameFlag.endOfMessage) !== 0) {
      this.#messages += 1;
      this.#offset = 0;
    } else {
      this.#offset += payload.length;
    }
  }
}
