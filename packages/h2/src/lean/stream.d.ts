import type { CallEvents, CallStream, HeaderList, ResetCause } from "../port.ts";
import type { Connection } from "./connection.ts";
/**
 * One stream (RFC 9113, section 5). A client's stream may wait for a connection; what is written to it waits in it.
 * Methods for the owner of the call are those of `CallStream`; the rest are for the connection.
 */
export declare class Stream implements CallStream {
  #private;
  /** 0 while it waits for a connection. */
  id: number;
  /** Of the peer: what we may still send, beside what the connection allows. */
  sendWindow: number;
  isBlocked: boolean;
  private constructor();
  /** A stream that the peer has opened. Its events are given by `listen`. */
  static accepted(connection: Connection, id: number, endStream: boolean, declaredBytes: number): Stream;
  /** A stream that we open, as soon as it is given a connection. */
  static waiting(request: HeaderList, endStream: boolean, events: CallEvents, onOver: (stream: Stream) => void): Stream;
  get isOver(): boolean;
  /** Server side: whether there is an answer, or the beginning of one. */
  get hasBegun(): boolean;
  get isWaiting(): boolean;
  get unsentBytes(): number;
  /** Whether all that its owner wanted to send has been sent. */
  get isFlushed(): boolean;
  respond(headers: HeaderList, endStream: boolean): void;
  write(bytes: Uint8Array): "taken" | "full";
  end(): void;
  trailers(headers: HeaderList): void;
  reset(code: number): void;
  pause(): void;
  resume(): void;
  /** Server side, after `onCall`. */
  listen(events: CallEvents): void;
  /** Client side: opens the stream. */
  start(connection: Connection, id: number): void;
  /** Sends what may be sent of the queue. Tells its owner when it may go on. */
  pump(connection: Connection): void;
  /** A DATA frame begins. */
  dataFrame(frameBytes: number): "ok" | "ended" | "flowControl";
  /** Octets of a frame that nobody reads: its padding. */
  padding(bytes: number): void;
  data(source: Buffer, start: number, end: number, endStream: boolean): "ok" | "malformed";
  /** The answer's headers, or trailers. */
  headers(headers: HeaderList, endStream: boolean, declaredBytes: number | "wrong"): "ok" | "malformed" | "ended";
  /** Whether the next HEADERS of the peer are trailers. */
  get expectsTrailers(): boolean;
  /** The stream has died; `cause` is told to its owner. */
  died(code: number, cause: ResetCause): void;
  /** As `died`, but from inside a method of the owner. */
  diesSoon(code: number, cause: ResetCause): void;
}
