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
/**
 * Cuts what comes into frames (RFC 9113, sections 4 and 6), in place: DATA is handed on as far as it has come, all other frames whole.
 * Throws {@link ConnectionError}, after which it must not be used again. Holds at most one frame that is not DATA, and one header
 * block.
 */
export declare class FrameReader {
  #private;
  constructor(side: "server" | "client", headerBlockBytesMax: number, sink: FrameSink);
  /** Whether a header block has begun and not ended. */
  get insideHeaders(): boolean;
  feed(chunk: Buffer): void;
}
