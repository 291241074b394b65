import { isShared } from "@cutline/runtime";

/**
 * Frames between two agents (docs/reference/link-protocol.md). Every frame begins with 16 bytes, big-endian:
 * length of what follows the length field (4), type (1), flags (1), number (6), call id (4); the payload follows.
 */
export const frameHeaderBytes = 16;

/** Largest payload of one frame: a piece of a message, a header block, or a handshake body. */
export const framePayloadBytesMax = 1024 * 1024;

export const FrameType = {
  open: 1,
  message: 2,
  halfClose: 3,
  headers: 4,
  trailers: 5,
  reset: 6,
  marker: 7,
  hello: 16,
  welcome: 17,
  refusal: 18,
  acknowledge: 19,
  credit: 20,
  ping: 21,
  pong: 22,
} as const;

export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** `message`: the last piece of its message. `trailers`: there were no headers before. */
export const FrameFlag = { endOfMessage: 1, trailersOnly: 1 } as const;

/** Frames of these types carry numbers and are acknowledged and replayed. */
export function isNumbered(type: number): boolean {
  return type >= FrameType.open && type <= FrameType.marker;
}

const knownTypes: ReadonlySet<number> = new Set(Object.values(FrameType));

export function encodeFrameHeader(
  type: number,
  flags: number,
  number: number,
  callId: number,
  payloadBytes: number,
): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  header.writeUInt32BE(frameHeaderBytes - 4 + payloadBytes, 0);
  header[4] = type;
  header[5] = flags;
  header.writeUIntBE(number, 6, 6);
  header.writeUInt32BE(callId, 12);
  return header;
}

export interface FrameSink {
  /** `payload` is a view of the socket's buffer; keeping it keeps that buffer. */
  onFrame(type: number, flags: number, number: number, callId: number, payload: Buffer): void;
}

/**
 * For a frame that is kept: a payload that is a small view of a large buffer becomes a copy, because what is kept is
 * counted by payloads, and the buffer of a whole read may be 64 KiB. One in memory that the next read changes does, too.
 */
export function unpin(frame: { payload: Buffer }): void {
  const { payload } = frame;
  if (payload.buffer.byteLength <= 4 * payload.length + unpinnedBytes && !isShared(payload)) return;
  // Not from the pool, which would be kept in its turn.
  const copy = Buffer.allocUnsafeSlow(payload.length);
  payload.copy(copy);
  frame.payload = copy;
}

/** So much more than four times its payload a frame may keep. */
const unpinnedBytes = 4_096;

/** What came over the wire is no frame. The connection it came by must be closed; nothing else is touched. */
export class FrameError extends Error {
  readonly code = "LinkFrameInvalid";
}

/**
 * Cuts a byte stream into frames. A frame inside one chunk is passed on as a view; one that spans chunks is copied once,
 * into a buffer of its own length, however small the chunks are. Holds at most one frame (16 bytes +
 * {@link framePayloadBytesMax}).
 */
export class FrameDecoder {
  readonly #sink: FrameSink;
  /** The beginning of a frame, with room for the rest of it, or of its header while that is not complete. */
  #held: Buffer = nothingHeld;
  #heldBytes = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Throws {@link FrameError}; after that the decoder must not be used again. */
  feed(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#heldBytes > 0) {
        at += this.#fill(chunk, at);
        continue;
      }
      const availableBytes = chunk.length - at;
      const neededBytes = availableBytes < frameHeaderBytes ? frameHeaderBytes : frameBytes(chunk, at);
      if (availableBytes < neededBytes) {
        this.#held = Buffer.allocUnsafe(neededBytes);
        this.#heldBytes = chunk.copy(this.#held, 0, at);
        return;
      }
      this.#emit(chunk, at, at + neededBytes);
      at += neededBytes;
    }
  }

  /** Takes what is missing of the frame that is held, and passes it on when it is whole. Returns the bytes taken. */
  #fill(chunk: Buffer, at: number): number {
    const takenBytes = chunk.copy(this.#held, this.#heldBytes, at);
    this.#heldBytes += takenBytes;
    if (this.#heldBytes < this.#held.length) return takenBytes;
    const neededBytes = frameBytes(this.#held, 0);
    if (neededBytes > this.#held.length) {
      const frame = Buffer.allocUnsafe(neededBytes);
      this.#held.copy(frame);
      this.#held = frame;
      return takenBytes;
    }
    const frame = this.#held;
    this.#held = nothingHeld;
    this.#heldBytes = 0;
    this.#emit(frame, 0, frame.length);
    return takenBytes;
  }

  #emit(buffer: Buffer, at: number, end: number): void {
    this.#sink.onFrame(
      buffer[at + 4] ?? 0,
      buffer[at + 5] ?? 0,
      buffer.readUInt16BE(at + 6) * 0x1_0000_0000 + buffer.readUInt32BE(at + 8),
      buffer.readUInt32BE(at + 12),
      end - at === frameHeaderBytes ? nothingHeld : buffer.subarray(at + frameHeaderBytes, end),
    );
  }
}

const nothingHeld = Buffer.alloc(0);

/** The length of the frame whose header begins at `at`. */
function frameBytes(buffer: Buffer, at: number): number {
  const payloadBytes = buffer.readUInt32BE(at) - (frameHeaderBytes - 4);
  const type = buffer[at + 4] ?? 0;
  if (payloadBytes < 0 || payloadBytes > framePayloadBytesMax) {
    throw new FrameError(`a frame of ${payloadBytes} payload bytes is outside 0 to ${framePayloadBytesMax}`);
  }
  if (!knownTypes.has(type)) throw new FrameError(`frame type ${type} is unknown`);
  return frameHeaderBytes + payloadBytes;
}
