import type { Duplex } from "node:stream";
import { BatchWriter, ownBytes, reservedBytesMax, returnSlab } from "@cutline/runtime";
import { encodeFrameHeader, frameHeaderBytes } from "./codec.ts";

/** A frame as it was sent, for sending it again: bytes that nobody writes to, and the payload where it is not among them. */
export interface SentFrame {
  readonly source: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly payload: Uint8Array | undefined;
}

/** Longer payloads are kept where they are. */
const copiedBytesMax = reservedBytesMax - frameHeaderBytes;

/** A slab that is full, with frames that may have to be sent again. */
interface FullSlab {
  readonly slab: Buffer;
  /** The last number that stands in it. */
  readonly number: number;
  /** Of all that was sent before and in it. */
  readonly takenBytes: number;
}

/**
 * Writes frames of a link (docs/reference/link-protocol.md) into the batch of this turn of the event loop. What stands
 * in its slabs is what a resume sends: one is written to again when the peer has acknowledged all of it.
 */
export class LinkOutput extends BatchWriter {
  #fullSlabs: FullSlab[] = [];
  #lastNumber = 0;

  constructor(socket: Duplex) {
    super(socket, { copiedBytesMax });
  }

  /** The frame is kept as it is until `acknowledged` has been told its number; that may be on a later connection. */
  frame(type: number, flags: number, number: number, callId: number, payload: Uint8Array): SentFrame {
    const { length } = payload;
    if (length > copiedBytesMax) return this.#longFrame(unsentFrame(type, flags, number, callId, payload));
    const start = this.reserve(frameHeaderBytes + length);
    // Behind `reserve`, which gives up a slab that does not have the room.
    this.#lastNumber = number;
    const { slab } = this;
    writeFrameHeader(slab, start, type, flags, number, callId, length);
    const payloadAt = start + frameHeaderBytes;
    if (length > 0) slab.set(payload, payloadAt);
    return { source: slab, start, end: payloadAt + length, payload: undefined };
  }

  /** A frame without a number: nobody sends it again. */
  control(type: number, number: number, callId: number, payload: Uint8Array): void {
    const start = this.reserve(frameHeaderBytes);
    writeFrameHeader(this.slab, start, type, 0, number, callId, payload.length);
    if (payload.length > 0) this.append(payload);
  }

  again({ source, start, end, payload }: SentFrame): void {
    this.append(source.subarray(start, end));
    if (payload !== undefined) this.append(payload);
  }

  /** The peer has all numbers up to this one. */
  acknowledged(number: number): void {
    const { writtenBytes } = this;
    for (let first = this.#fullSlabs[0]; first !== undefined; first = this.#fullSlabs[0]) {
      // Behind its last number may stand frames without one, which have not left yet.
      if (first.number > number || first.takenBytes > writtenBytes) return;
      this.#fullSlabs.shift();
      returnSlab(first.slab);
    }
  }

  protected override allWritten(at: number): number {
    return at;
  }

  protected override slabFull(slab: Buffer): void {
    this.#fullSlabs.push({ slab, number: this.#lastNumber, takenBytes: this.takenBytes });
  }

  #longFrame(frame: SentFrame): SentFrame {
    this.again(frame);
    return frame;
  }
}

/** A frame that cannot be sent now, because there is no connection. */
export function unsentFrame(
  type: number,
  flags: number,
  number: number,
  callId: number,
  payload: Uint8Array,
): SentFrame {
  const source = encodeFrameHeader(type, flags, number, callId, payload.length);
  return { source, start: 0, end: frameHeaderBytes, payload: payload.length === 0 ? undefined : ownBytes(payload) };
}

function writeFrameHeader(
  target: Uint8Array,
  at: number,
  type: number,
  flags: number,
  number: number,
  callId: number,
  payloadBytes: number,
): void {
  const bytes = frameHeaderBytes - 4 + payloadBytes;
  target[at] = bytes >>> 24;
  target[at + 1] = bytes >>> 16;
  target[at + 2] = bytes >>> 8;
  target[at + 3] = bytes;
  target[at + 4] = type;
  target[at + 5] = flags;
  const high = Math.floor(number / 0x1_0000_0000);
  target[at + 6] = high >>> 8;
  target[at + 7] = high;
  target[at + 8] = number >>> 24;
  target[at + 9] = number >>> 16;
  target[at + 10] = number >>> 8;
  target[at + 11] = number;
  target[at + 12] = callId >>> 24;
  target[at + 13] = callId >>> 16;
  target[at + 14] = callId >>> 8;
  target[at + 15] = callId;
}
