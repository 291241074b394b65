import type { Duplex } from "node:stream";
import { BatchWriter } from "@cutline/runtime";
import { encodeFrameHeader, frameHeaderBytes } from "./codec.ts";

/** A frame as it was sent, for sending it again: bytes that nobody writes to, and the payload where it is not among them. */
export interface SentFrame {
  readonly source: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly payload: Uint8Array | undefined;
}

/** Longer payloads are kept where they are. */
const copiedBytesMax = 4 * 1024;

/** Writes frames of a link (docs/reference/link-protocol.md) into the batch of this turn of the event loop. */
export class LinkOutput extends BatchWriter {
  constructor(socket: Duplex) {
    super(socket, { slabs: "kept", copiedBytesMax });
  }

  /** `payload` must not change before the frame is acknowledged. */
  frame(type: number, flags: number, number: number, callId: number, payload: Uint8Array): SentFrame {
    const start = this.reserve(frameHeaderBytes);
    const { slab } = this;
    writeFrameHeader(slab, start, type, flags, number, callId, payload.length);
    const end = start + frameHeaderBytes;
    if (payload.length === 0) return { source: slab, start, end, payload: undefined };
    const isBeside = this.append(payload) === "copied" && this.slab === slab;
    return isBeside
      ? { source: slab, start, end: end + payload.length, payload: undefined }
      : { source: slab, start, end, payload };
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
  return { source, start: 0, end: frameHeaderBytes, payload: payload.length === 0 ? undefined : payload };
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
