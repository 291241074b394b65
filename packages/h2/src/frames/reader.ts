import { ConnectionError, ErrorCode } from "../errors.ts";
import { defaultMaxFrameBytes, Flag, FrameType, frameHeadBytes, preface } from "./constants.ts";

/** What a reader finds. Positions are in `source`, which may be kept, and which nobody writes to afterwards. */
export interface FrameSink {
  /** A DATA frame begins; `frameBytes` count for flow control, `dataBytes` of them are data and the rest is padding. */
  onDataFrame(streamId: number, frameBytes: number, dataBytes: number): void;
  /** Bytes of it, maybe not all. `end`: the stream's last. Called at least once for each frame. */
  onData(streamId: number, source: Buffer, start: number, end: number, endStream: boolean): void;
  /** A header block that is complete. */
  onHeaders(streamId: number, source: Buffer, start: number, end: number, endStream: boolean): void;
  onReset(streamId: number, code: number): void;
  onSettings(isAck: boolean, source: Buffer, start: number, end: number): void;
  onPing(isAck: boolean, source: Buffer, start: number): void;
  onGoaway(lastStreamId: number, code: number, debug: string): void;
  onWindowUpdate(streamId: number, increment: number): void;
  /** A frame that says nothing to us: PRIORITY, unknown types, empty CONTINUATION. */
  onIdleFrame(): void;
  /** A frame of this stream has a length that its type does not allow, and nothing else is wrong. */
  onBadFrame(streamId: number): void;
}

/** Frames of one header block after the first. */
const continuationsMax = 64;

/** Octets of what a peer may say in GOAWAY that are kept. */
const debugBytesMax = 200;

/**
 * Cuts what comes into frames (RFC 9113, sections 4 and 6), in place: DATA is handed on as far as it has come, all other frames whole.
 * Throws {@link ConnectionError}, after which it must not be used again. Holds at most one frame that is not DATA, and one header
 * block.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #headerBlockBytesMax: number;
  #prefaceLeft: number;
  #sawSettings = false;
  /** The beginning of a frame that has not all come. */
  #held: Buffer = nothing;
  #heldBytes = 0;
  // A DATA frame that has not all come.
  #dataStream = 0;
  #dataLeft = 0;
  #padLeft = 0;
  #dataEnds = false;
  // A header block that has not all come.
  #blockStream = 0;
  #blockEnds = false;
  #blockParts: Buffer[] = [];
  #blockBytes = 0;
  /** Since it was seen that a frame or a header block has begun and not come to its end; -1: that has not been seen. */
  #partialMs = -1;

  constructor(side: "server" | "client", headerBlockBytesMax: number, sink: FrameSink) {
    this.#sink = sink;
    this.#headerBlockBytesMax = headerBlockBytesMax;
    this.#prefaceLeft = side === "server" ? preface.length : 0;
  }

  /** Of frames and header blocks that have not all come. */
  get heldBytes(): number {
    return this.#held.length + this.#blockBytes;
  }

  /**
   * Called every so often. Returns how long, at least, it has waited for the rest of the same header block, or of the same
   * frame of any type but DATA.
   */
  waitedMs(everyMs: number): number {
    if (this.#heldBytes === 0 && this.#blockStream === 0) this.#partialMs = -1;
    else this.#partialMs = this.#partialMs < 0 ? 0 : this.#partialMs + everyMs;
    return this.#partialMs;
  }

  feed(chunk: Buffer): void {
    let at = 0;
    if (this.#prefaceLeft > 0) at = this.#readPreface(chunk);
    const { length } = chunk;
    while (at < length) {
      if (this.#dataLeft > 0 || this.#padLeft > 0) {
        at = this.#readData(chunk, at);
        continue;
      }
      if (this.#heldBytes > 0) {
        at = this.#fill(chunk, at);
        continue;
      }
      if (length - at < frameHeadBytes) {
        this.#hold(chunk, at, frameHeadBytes);
        return;
      }
      const type = chunk[at + 3] as number;
      const payloadBytes = this.#payloadBytes(chunk, at);
      if (type === FrameType.data) {
        // The head, and the length of the padding.
        const isPadded = payloadBytes > 0 && ((chunk[at + 4] as number) & Flag.padded) !== 0;
        const headBytes = frameHeadBytes + (isPadded ? 1 : 0);
        if (length - at < headBytes) {
          this.#hold(chunk, at, headBytes);
          return;
        }
        at = this.#beginData(chunk, at, payloadBytes);
        continue;
      }
      const end = at + frameHeadBytes + payloadBytes;
      if (end > length) {
        this.#hold(chunk, at, frameHeadBytes + payloadBytes);
        return;
      }
      this.#frame(type, chunk, at, end);
      at = end;
    }
  }

  #readPreface(chunk: Buffer): number {
    const expectedAt = preface.length - this.#prefaceLeft;
    const bytes = Math.min(chunk.length, this.#prefaceLeft);
    if (preface.compare(chunk, 0, bytes, expectedAt, expectedAt + bytes) !== 0) {
      throw new ConnectionError(ErrorCode.protocolError, "the client's preface is not that of HTTP/2");
    }
    this.#prefaceLeft -= bytes;
    return bytes;
  }

  /** Checks what a head alone can tell, and returns the length of the payload. */
  #payloadBytes(source: Buffer, at: number): number {
    const bytes = ((source[at] as number) << 16) | ((source[at + 1] as number) << 8) | (source[at + 2] as number);
    const type = source[at + 3] as number;
    if (!this.#sawSettings) {
      if (type !== FrameType.settings || ((source[at + 4] as number) & Flag.ack) !== 0) {
        throw new ConnectionError(ErrorCode.protocolError, "the first frame is not SETTINGS");
      }
      this.#sawSettings = true;
    }
    if (bytes > defaultMaxFrameBytes) {
      throw new ConnectionError(
        ErrorCode.frameSizeError,
        `a frame of ${bytes} bytes is above the ${defaultMaxFrameBytes} allowed`,
      );
    }
    if (this.#blockStream !== 0 && (type !== FrameType.continuation || streamIdAt(source, at) !== this.#blockStream)) {
      throw new ConnectionError(ErrorCode.protocolError, "a header block was interrupted by another frame");
    }
    return bytes;
  }

  #hold(chunk: Buffer, at: number, neededBytes: number): void {
    this.#held = Buffer.allocUnsafe(neededBytes);
    this.#heldBytes = chunk.copy(this.#held, 0, at);
    if (this.#blockStream === 0) this.#partialMs = -1;
  }

  /** Takes what is missing of the frame that is held, and passes it on when it is whole. */
  #fill(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#held, this.#heldBytes, at);
    this.#heldBytes += taken;
    if (this.#heldBytes < this.#held.length) return at + taken;
    const held = this.#held;
    const payloadBytes = held.length === frameHeadBytes ? this.#payloadBytes(held, 0) : undefined;
    const type = held[3] as number;
    const isPadded = ((held[4] as number) & Flag.padded) !== 0;
    let neededBytes = held.length;
    if (payloadBytes !== undefined) {
      if (type === FrameType.data) neededBytes = frameHeadBytes + (isPadded && payloadBytes > 0 ? 1 : 0);
      else neededBytes = frameHeadBytes + payloadBytes;
    }
    if (neededBytes > held.length) {
      const longer = Buffer.allocUnsafe(neededBytes);
      held.copy(longer);
      this.#held = longer;
      return at + taken;
    }
    this.#held = nothing;
    this.#heldBytes = 0;
    if (type !== FrameType.data) this.#frame(type, held, 0, held.length);
    else {
      const bytes = ((held[0] as number) << 16) | ((held[1] as number) << 8) | (held[2] as number);
      this.#beginData(held, 0, bytes);
    }
    return at + taken;
  }

  /** Returns the position behind the head and the length of the padding. */
  #beginData(source: Buffer, at: number, frameBytes: number): number {
    const flags = source[at + 4] as number;
    const streamId = streamIdAt(source, at);
    if (streamId === 0) throw new ConnectionError(ErrorCode.protocolError, "a DATA frame has no stream");
    let padBytes = 0;
    let next = at + frameHeadBytes;
    let bytes = frameBytes;
    if ((flags & Flag.padded) !== 0) {
      if (frameBytes === 0)
        throw new ConnectionError(ErrorCode.frameSizeError, "a padded frame has no length of padding");
      padBytes = source[next++] as number;
      if (padBytes >= frameBytes)
        throw new ConnectionError(ErrorCode.protocolError, "the padding of a frame exceeds it");
      bytes = frameBytes - 1 - padBytes;
    }
    this.#sink.onDataFrame(streamId, frameBytes, bytes);
    this.#dataStream = streamId;
    this.#dataEnds = (flags & Flag.endStream) !== 0;
    this.#dataLeft = bytes;
    this.#padLeft = padBytes;
    if (bytes === 0) this.#sink.onData(streamId, source, next, next, this.#dataEnds);
    return next;
  }

  #readData(chunk: Buffer, at: number): number {
    if (this.#dataLeft === 0) {
      const skipped = Math.min(this.#padLeft, chunk.length - at);
      this.#padLeft -= skipped;
      return at + skipped;
    }
    const end = Math.min(at + this.#dataLeft, chunk.length);
    this.#dataLeft -= end - at;
    this.#sink.onData(this.#dataStream, chunk, at, end, this.#dataEnds && this.#dataLeft === 0);
    return end;
  }

  #frame(type: number, source: Buffer, at: number, end: number): void {
    const flags = source[at + 4] as number;
    const streamId = streamIdAt(source, at);
    const start = at + frameHeadBytes;
    switch (type) {
      case FrameType.headers:
        this.#headers(streamId, flags, source, start, end);
        return;
      case FrameType.continuation:
        this.#continuation(streamId, flags, source, start, end);
        return;
      case FrameType.windowUpdate:
        checkLength("WINDOW_UPDATE", end - start, 4);
        this.#sink.onWindowUpdate(streamId, source.readUInt32BE(start) & 0x7fff_ffff);
        return;
      case FrameType.rstStream:
        checkLength("RST_STREAM", end - start, 4);
        checkHasStream("RST_STREAM", streamId);
        this.#sink.onReset(streamId, source.readUInt32BE(start));
        return;
      case FrameType.settings:
        checkHasNoStream("SETTINGS", streamId);
        if ((flags & Flag.ack) !== 0) checkLength("an acknowledging SETTINGS", end - start, 0);
        if ((end - start) % 6 !== 0) {
          throw new ConnectionError(ErrorCode.frameSizeError, `SETTINGS has ${end - start} bytes, not a multiple of 6`);
        }
        this.#sink.onSettings((flags & Flag.ack) !== 0, source, start, end);
        return;
      case FrameType.ping:
        checkHasNoStream("PING", streamId);
        checkLength("PING", end - start, 8);
        this.#sink.onPing((flags & Flag.ack) !== 0, source, start);
        return;
      case FrameType.goaway:
        checkHasNoStream("GOAWAY", streamId);
        if (end - start < 8) throw new ConnectionError(ErrorCode.frameSizeError, "GOAWAY has fewer than 8 bytes");
        this.#sink.onGoaway(
          source.readUInt32BE(start) & 0x7fff_ffff,
          source.readUInt32BE(start + 4),
          source.toString("utf8", start + 8, Math.min(end, start + 8 + debugBytesMax)),
        );
        return;
      case FrameType.priority:
        checkHasStream("PRIORITY", streamId);
        if (end - start === 5) this.#sink.onIdleFrame();
        else this.#sink.onBadFrame(streamId);
        return;
      case FrameType.pushPromise:
        throw new ConnectionError(ErrorCode.protocolError, "the peer pushes, which is not allowed here");
      default:
        this.#sink.onIdleFrame();
    }
  }

  #headers(streamId: number, flags: number, source: Buffer, from: number, to: number): void {
    checkHasStream("HEADERS", streamId);
    let start = from;
    let end = to;
    if ((flags & Flag.padded) !== 0) {
      if (start >= end) throw new ConnectionError(ErrorCode.frameSizeError, "a padded frame has no length of padding");
      const padBytes = source[start++] as number;
      const priorityBytes = (flags & Flag.priority) === 0 ? 0 : 5;
      if (padBytes > 0 && padBytes > end - start - priorityBytes)
        throw new ConnectionError(ErrorCode.protocolError, "the padding of a frame exceeds it");
      end -= padBytes;
    }
    if ((flags & Flag.priority) !== 0) {
      if (end - start < 5) throw new ConnectionError(ErrorCode.frameSizeError, "HEADERS is too short for its priority");
      start += 5;
    }
    const endStream = (flags & Flag.endStream) !== 0;
    if ((flags & Flag.endHeaders) !== 0) {
      this.#sink.onHeaders(streamId, source, start, end, endStream);
      return;
    }
    this.#blockStream = streamId;
    this.#blockEnds = endStream;
    this.#keepPart(source, start, end);
  }

  #continuation(streamId: number, flags: number, source: Buffer, start: number, end: number): void {
    if (this.#blockStream === 0) {
      throw new ConnectionError(ErrorCode.protocolError, "a CONTINUATION frame follows no open header block");
    }
    if (start === end) this.#sink.onIdleFrame();
    this.#keepPart(source, start, end);
    if ((flags & Flag.endHeaders) === 0) return;
    const block = Buffer.concat(this.#blockParts, this.#blockBytes);
    const ends = this.#blockEnds;
    this.#blockStream = 0;
    this.#blockParts = [];
    this.#blockBytes = 0;
    this.#partialMs = -1;
    this.#sink.onHeaders(streamId, block, 0, block.length, ends);
  }

  #keepPart(source: Buffer, start: number, end: number): void {
    this.#blockBytes += end - start;
    this.#blockParts.push(Buffer.from(source.subarray(start, end)));
    if (this.#blockBytes > this.#headerBlockBytesMax || this.#blockParts.length > continuationsMax) {
      throw new ConnectionError(
        ErrorCode.enhanceYourCalm,
        `a header block exceeds ${this.#headerBlockBytesMax} bytes or ${continuationsMax} frames`,
      );
    }
  }
}

const nothing = Buffer.alloc(0);

function streamIdAt(source: Buffer, at: number): number {
  return (
    (((source[at + 5] as number) & 0x7f) << 24) |
    ((source[at + 6] as number) << 16) |
    ((source[at + 7] as number) << 8) |
    (source[at + 8] as number)
  );
}

function checkLength(what: string, bytes: number, expectedBytes: number): void {
  if (bytes === expectedBytes) return;
  throw new ConnectionError(ErrorCode.frameSizeError, `${what} has ${bytes} bytes, not ${expectedBytes}`);
}

function checkHasStream(what: string, streamId: number): void {
  if (streamId === 0) throw new ConnectionError(ErrorCode.protocolError, `${what} has no stream`);
}

function checkHasNoStream(what: string, streamId: number): void {
  if (streamId !== 0) throw new ConnectionError(ErrorCode.protocolError, `${what} stands on stream ${streamId}`);
}
