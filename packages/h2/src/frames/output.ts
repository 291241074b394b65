import type { Duplex } from "node:stream";
import { BatchWriter } from "@cutline/runtime";
import { defaultMaxFrameBytes, Flag, FrameType, frameHeadBytes } from "./constants.ts";

/** Writes frames (RFC 9113, section 4.1) into the batch of this turn of the event loop. */
export class Output extends BatchWriter {
  /** The head of the last frame, where it is DATA and can still be changed; else -1. */
  #lastDataAt = -1;
  #lastDataStream = 0;

  constructor(socket: Duplex, onFlushed: () => void) {
    super(socket, { copiedBytesMax: defaultMaxFrameBytes, onFlushed });
  }

  head(payloadBytes: number, type: number, flags: number, streamId: number): void {
    const at = this.reserve(frameHeadBytes);
    const { slab } = this;
    slab[at] = payloadBytes >>> 16;
    slab[at + 1] = payloadBytes >>> 8;
    slab[at + 2] = payloadBytes;
    slab[at + 3] = type;
    slab[at + 4] = flags;
    slab[at + 5] = streamId >>> 24;
    slab[at + 6] = streamId >>> 16;
    slab[at + 7] = streamId >>> 8;
    slab[at + 8] = streamId;
    this.#lastDataAt = -1;
  }

  uint32(value: number): void {
    const at = this.reserve(4);
    const { slab } = this;
    slab[at] = value >>> 24;
    slab[at + 1] = value >>> 16;
    slab[at + 2] = value >>> 8;
    slab[at + 3] = value;
  }

  uint16(value: number): void {
    const at = this.reserve(2);
    this.slab[at] = value >>> 8;
    this.slab[at + 1] = value;
  }

  /** One DATA frame. */
  data(streamId: number, bytes: Uint8Array, endStream: boolean): void {
    const { length } = bytes;
    const at = this.reserve(frameHeadBytes);
    const { slab } = this;
    slab[at] = length >>> 16;
    slab[at + 1] = length >>> 8;
    slab[at + 2] = length;
    slab[at + 3] = FrameType.data;
    slab[at + 4] = endStream ? Flag.endStream : 0;
    slab[at + 5] = streamId >>> 24;
    slab[at + 6] = streamId >>> 16;
    slab[at + 7] = streamId >>> 8;
    slab[at + 8] = streamId;
    this.append(bytes);
    // A head in a slab that has been given up is left alone; one in an earlier part of the batch is not sent yet.
    this.#lastDataAt = this.slab === slab ? at : -1;
    this.#lastDataStream = streamId;
  }

  /** Ends a stream: on its last DATA frame while that has not left, else with an empty one. */
  endData(streamId: number): void {
    if (this.#lastDataAt >= 0 && this.#lastDataStream === streamId && this.bytes > 0) {
      this.slab[this.#lastDataAt + 4] = Flag.endStream;
      this.#lastDataAt = -1;
    } else {
      this.head(0, FrameType.data, Flag.endStream, streamId);
    }
  }

  /** A header block, in as many frames as it needs. `block` may change afterwards. */
  headers(streamId: number, block: Uint8Array, endStream: boolean): void {
    const end = endStream ? Flag.endStream : 0;
    if (block.length <= defaultMaxFrameBytes) {
      this.head(block.length, FrameType.headers, end | Flag.endHeaders, streamId);
      this.append(block);
      return;
    }
    this.head(defaultMaxFrameBytes, FrameType.headers, end, streamId);
    this.append(block.subarray(0, defaultMaxFrameBytes));
    for (let at = defaultMaxFrameBytes; at < block.length; at += defaultMaxFrameBytes) {
      const piece = block.subarray(at, at + defaultMaxFrameBytes);
      const isLast = at + defaultMaxFrameBytes >= block.length;
      this.head(piece.length, FrameType.continuation, isLast ? Flag.endHeaders : 0, streamId);
      this.append(piece);
    }
  }
}
