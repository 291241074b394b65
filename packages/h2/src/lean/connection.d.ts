import type { Duplex } from "node:stream";
import { type FrameSink } from "../frames/reader.ts";
import { type CallEvents, type HeaderList, type Http2Limits } from "../port.ts";
import { Stream } from "./stream.ts";
export interface ConnectionEvents {
  /** Server side: the peer has opened a stream. */
  onStream(stream: Stream, headers: HeaderList, endStream: boolean): CallEvents;
  /** The peer's first SETTINGS are there. */
  onReady(): void;
  /** Client side: there may be room for another stream, or never again. */
  onRoomChanged(): void;
  /** The connection has gone; all streams have been told. `reason`: why, unless it was an orderly end. */
  onClosed(reason: string | undefined): void;
}
/** One HTTP/2 connection (RFC 9113), of either side, on a socket that is connected. */
export declare class Connection implements FrameSink {
  #private;
  /** `draining`: no new streams. */
  phase: "opening" | "open" | "draining" | "closed";
  readonly streamWindowBytes: number;
  /** What the peer may send on a stream that begins now. */
  newStreamWindowBytes: number;
  /** The peer's SETTINGS_INITIAL_WINDOW_SIZE. */
  peerStreamWindowBytes: number;
  /** The peer's SETTINGS_MAX_CONCURRENT_STREAMS. */
  peerStreamsMax: number;
  constructor(side: "server" | "client", socket: Duplex, limits: Http2Limits, events: ConnectionEvents);
  get openStreams(): number;
  /** A copy. */
  get streams(): Stream[];
  /** Client side. */
  get hasRoom(): boolean;
  /** Client side: opens a stream that waited. */
  open(stream: Stream): void;
  /** Resolves when the peer has answered; at once when the connection is gone. */
  ping(): Promise<void>;
  /** No new streams; ends when those that are open have ended. */
  close(): void;
  destroy(reason: string | undefined): void;
  sendHeaders(stream: Stream, headers: HeaderList, endStream: boolean): void;
  /** Sends the whole of `bytes` in one frame, if that can be done now. */
  trySend(stream: Stream, bytes: Uint8Array): boolean;
  /** How much of `bytes` may be sent in the next frame. 0: the stream is called again when that has changed. */
  sendable(stream: Stream, bytes: number): number;
  /** The stream has something to send, and is called when the connection takes more. */
  block(stream: Stream): void;
  get othersWait(): boolean;
  sendData(stream: Stream, bytes: Uint8Array): void;
  sendEnd(stream: Stream): void;
  sendReset(stream: Stream, code: number): void;
  sendWindowUpdate(streamId: number, bytes: number): void;
  /** Bytes that paused streams hold. */
  noteHeld(bytes: number): void;
  /** The stream is over. */
  forget(stream: Stream): void;
  onDataFrame(streamId: number, frameBytes: number, dataBytes: number): void;
  onData(_streamId: number, source: Buffer, start: number, end: number, endStream: boolean): void;
  onHeaders(streamId: number, source: Buffer, start: number, end: number, endStream: boolean): void;
  onReset(streamId: number, code: number): void;
  onSettings(isAck: boolean, source: Buffer, start: number, end: number): void;
  onPing(isAck: boolean, source: Buffer, start: number): void;
  onGoaway(lastStreamId: number, code: number, debug: string): void;
  onWindowUpdate(streamId: number, increment: number): void;
  onIdleFrame(): void;
  onBadFrame(streamId: number): void;
}
