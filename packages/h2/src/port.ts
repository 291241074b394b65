import type { Socket } from "node:net";
import { CutlineError } from "@cutline/runtime";
import type { HeldBytes } from "./held-bytes.ts";

/**
 * The application-facing HTTP/2, as narrow as the data plane needs it. Adapters: `node-http2-server.ts`,
 * `node-http2-client.ts`; `test/http2/compliance.ts` is the suite that every adapter passes.
 *
 * Headers are flat lists `[name, value, name, value, ...]` in wire order, pseudo-headers first, names in lower case,
 * values as latin1. Order and duplicates are kept; in trailers an adapter may bring the values of one name together,
 * in their order. Connection-specific headers (`connection`, `te` other than `trailers`, ...) are never sent on.
 * Informational (1xx) answers are dropped. Bytes are handed over by reference and belong to the receiver from then on.
 */
export type HeaderList = readonly string[];

/** HTTP/2 error codes (RFC 9113, section 7) that the data plane itself uses. */
export const ResetCode = { noError: 0x0, internal: 0x2, refused: 0x7, cancel: 0x8, enhanceYourCalm: 0xb } as const;

/**
 * Why a stream died. `peer`: it sent RST_STREAM (or broke a rule of HTTP/2 on this stream). `connection`: the
 * connection broke or could not be had. `answered`: server side only; the answer is complete and the rest of the
 * request is of no interest.
 */
export type ResetCause = "peer" | "connection" | "answered";

/**
 * One call on one HTTP/2 stream. Nothing throws: after the stream has ended every method does nothing.
 *
 * A complete answer ends the call both ways: when the request is still open then, the adapter resets it with
 * `noError`, as gRPC servers and clients do.
 */
export interface CallStream {
  /** Server side: response headers. `endStream`: a trailers-only answer. Client side: not used. */
  respond(headers: HeaderList, endStream: boolean): void;
  /**
   * Sends DATA; `bytes` must not change, but for those that `onData` has brought. Returns `full` when the caller should wait for `onDrain`; the bytes are taken either way. Server side:
   * only after `respond`, otherwise the stream is reset with `internal`; the same holds for `end` and `trailers`.
   */
  write(bytes: Uint8Array): "taken" | "full";
  /** Half-closes without trailers. */
  end(): void;
  /** Server side: sends trailers and ends. */
  trailers(headers: HeaderList): void;
  /** Resets the stream both ways; unsent bytes are lost and no event follows, not even `onReset`. */
  reset(code: number): void;
  /**
   * Stops / goes on reading: while paused no more than the flow-control window arrives, and neither `onData` nor what
   * stands behind data (`onTrailers`, `onEnd`) is called. `onHeaders` and `onReset` are.
   */
  pause(): void;
  resume(): void;
  /** Bytes taken by `write` and not yet handed to the socket. */
  readonly unsentBytes: number;
}

/**
 * What happens on a stream, in order. Never called from inside `open`, `onCall` or a method of the stream.
 *
 * Client side: the last is exactly one of `onHeaders` with `endStream`, `onTrailers`, `onEnd`, `onReset`.
 * Server side: unless the request came with `endStream`, exactly one of `onTrailers`, `onEnd`, `onReset` ends it. After
 * the request's end `onReset` may still come until the answer is complete (its last frame is with the HTTP/2 layer).
 * Nothing follows `onReset`.
 */
export interface CallEvents {
  /** Client side only: response headers. `endStream`: trailers-only; nothing follows. */
  onHeaders(headers: HeaderList, endStream: boolean): void;
  /**
   * Server side never before `onCall` has returned, client side never before `onHeaders`. `chunk` may change as soon as
   * this has returned: who needs it longer copies it, or gives it to another stream's `write`.
   */
  onData(chunk: Buffer): void;
  /** Trailers; `onEnd` does not follow. */
  onTrailers(headers: HeaderList): void;
  /** The peer ended its side without trailers. */
  onEnd(): void;
  /**
   * The stream died, and data that had not been read is lost. `code`: the peer's (any 32-bit value), or `cancel` or
   * `internal` when the connection broke, or `refused` when
   * none could be had, or (by the peer) when its GOAWAY left the call out, which may be tried again.
   * Once, and last. Adapters always give `cause`.
   */
  onReset(code: number, cause?: ResetCause): void;
  /** After `full`: the bytes have been handed to the socket. */
  onDrain(): void;
}

/** Serves HTTP/2 on sockets that somebody else accepted. */
export interface Http2Server {
  /**
   * Takes over a socket whose next byte is the client preface (bytes already read were `unshift`ed), and its errors.
   * The socket is closed when the first SETTINGS are not there within `handshakeTimeoutMs`.
   */
  accept(socket: Socket, connection: AcceptedConnection): void;
  /**
   * Resolves when everything sent so far on all calls has been processed by the peers' HTTP/2 layers, and everything
   * that they had sent before their answers has been handed over here, except on paused streams. Rejects when `signal`
   * is aborted.
   */
  barrier(signal: AbortSignal): Promise<void>;
  /** GOAWAY on every connection; resolves when all streams have ended or after `graceMs`, when the rest are cut. */
  close(graceMs: number): Promise<void>;
  readonly openStreams: number;
}

export interface AcceptedConnection {
  /** Called for every new stream; returns the receiver of its events. `endStream`: no body and no `onEnd` follow. */
  onCall(stream: CallStream, headers: HeaderList, endStream: boolean): CallEvents;
  /**
   * The connection has gone; each open stream's `onReset` comes before or after. `reason`: why, unless it was an orderly
   * end; the lean layer only.
   */
  onClose?(reason?: string): void;
}

/**
 * HTTP/2 connections to one server, opened on demand: the next one when every other is at the peer's limit of
 * concurrent streams, and a new one for new calls when the peer sends GOAWAY, while the old one drains.
 */
export interface Http2Client {
  /**
   * Opens a call. While no connection has room it waits (bounded), and what is written to it waits with it. When no
   * connection can be had it gets `onReset(refused, "connection")`; {@link Http2Client.lastError} says why.
   */
  open(headers: HeaderList, endStream: boolean, events: CallEvents): CallStream;
  /**
   * Resolves when everything sent so far on all calls (headers, bytes, half-closes, resets) has been processed by the
   * peer's HTTP/2 layer, and everything that the peer had sent before its answer has been handed over here, except on
   * paused streams. Rejects with {@link BarrierError} after a bounded time: the peer reads some call too slowly or does
   * not answer. Resolves at once when there is no connection and no call.
   */
  barrier(): Promise<void>;
  /** No new calls, GOAWAY; resolves when all streams have ended or after `graceMs`, when the rest are cut. */
  close(graceMs: number): Promise<void>;
  /** Why the last connection could not be had or broke; `undefined` when the last attempt succeeded. */
  readonly lastError: string | undefined;
  /** Calls that have not ended, waiting ones too. */
  readonly openStreams: number;
}

export interface Http2ClientOptions {
  /** Name or address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly limits?: Partial<Http2Limits>;
  /** Until the peer's first SETTINGS. Default 5 s. */
  readonly connectTimeoutMs?: number;
  /** Connections open or opening, not counting up to as many that drain after GOAWAY. Default 8. */
  readonly connectionsMax?: number;
  /** Calls that wait for a connection with room; more are reset with `refused`. Default 1024. */
  readonly waitingCallsMax?: number;
  /** Default 5 s. */
  readonly barrierTimeoutMs?: number;
  /** Counts here; the lean layer only. */
  readonly meter?: Http2Meter;
  /** What this client's connections hold counts here; the lean layer only. Default: a budget of its own. */
  readonly held?: HeldBytes;
  /** A connection broke or could not be had, and nobody here wanted it so; the lean layer only. */
  readonly onConnectionLost?: (reason: string) => void;
}

/** The peer's HTTP/2 layer has not processed everything within the time allowed. */
export class BarrierError extends CutlineError<"BarrierTimeout"> {}

/** Counts of connections, for whoever wants to know: plain numbers that the adapter adds to. */
export interface Http2Meter {
  /** Since the start. */
  opened: number;
  /** Now, those that are being opened or closed included. */
  open: number;
  /** Connections that were closed because the peer broke a rule of HTTP/2, or had too much of something. */
  protocolErrors: number;
}

export function createHttp2Meter(): Http2Meter {
  return { opened: 0, open: 0, protocolErrors: 0 };
}

export interface Http2Limits {
  /** Per connection, from the peer. Default 1024. */
  readonly concurrentStreamsMax: number;
  /** Per stream receive window. Default 1 MiB. */
  readonly streamWindowBytes: number;
  /** Per connection receive window. Default 8 MiB. */
  readonly connectionWindowBytes: number;
  /** Header list, both directions. Default 64 KiB. */
  readonly headerListBytesMax: number;
  /** From accept to a complete preface and request line. Default 10 s. */
  readonly handshakeTimeoutMs: number;
  /** From the first byte of a header block to its last, be it one frame or several; the lean layer only. Default 10 s. */
  readonly headerBlockTimeoutMs: number;
  /**
   * Server side: a connection without streams from which nothing came for so long is asked by PING whether it is still
   * there; the lean layer only. One that answers stays, for ever. Default 5 min.
   */
  readonly idleTimeoutMs: number;
  /** For the answer to that PING; without one the connection is closed. Default 20 s. */
  readonly pingTimeoutMs: number;
}

export const defaultHttp2Limits: Http2Limits = {
  concurrentStreamsMax: 1024,
  streamWindowBytes: 1024 * 1024,
  connectionWindowBytes: 8 * 1024 * 1024,
  headerListBytesMax: 64 * 1024,
  handshakeTimeoutMs: 10_000,
  headerBlockTimeoutMs: 10_000,
  idleTimeoutMs: 300_000,
  pingTimeoutMs: 20_000,
};
