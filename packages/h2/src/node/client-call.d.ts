import { type ClientHttp2Stream } from "node:http2";
import { type CallEvents, type CallStream, type HeaderList, type ResetCause } from "../port.ts";
/** Where a waiting call goes. */
export interface CallRoute {
  readonly authority: string;
  request(headers: string[], endStream: boolean): ClientHttp2Stream;
  /** Whether the connection itself has broken. */
  isLost(): boolean;
}
/** A call that we make: at first it waits for a connection with room, then it is a stream on that. */
export declare class ClientCall implements CallStream {
  #private;
  /** Writes asked for and writes that the socket has; a barrier compares them. */
  writes: number;
  flushed: number;
  constructor(headers: HeaderList, endStream: boolean, events: CallEvents, onOver: (call: ClientCall) => void);
  get isOver(): boolean;
  get isWaiting(): boolean;
  /** Opens the stream. `onClosed` is called when its place on the connection is free again. */
  start(route: CallRoute, onClosed: () => void): void;
  respond(): void;
  trailers(): void;
  write(bytes: Uint8Array): "taken" | "full";
  end(): void;
  reset(code: number): void;
  pause(): void;
  resume(): void;
  get unsentBytes(): number;
  /** Ends a call that has no stream. */
  fail(code: number, cause: ResetCause): void;
}
