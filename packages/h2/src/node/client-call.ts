import { type ClientHttp2Stream, constants } from "node:http2";
import { ownBytes } from "@cutline/runtime";
import { type CallEvents, type CallStream, type HeaderList, type ResetCause, ResetCode } from "../port.ts";
import { sendableHeaders, sendableResetCode } from "./session.ts";

/** Bytes written to a call that still waits for a connection before `write` says `full`. */
const waitingBytesMax = 64 * 1024;

/** Where a waiting call goes. */
export interface CallRoute {
  readonly authority: string;
  request(headers: string[], endStream: boolean): ClientHttp2Stream;
  /** Whether the connection itself has broken. */
  isLost(): boolean;
}

/** A call that we make: at first it waits for a connection with room, then it is a stream on that. */
export class ClientCall implements CallStream {
  /** Writes asked for and writes that the socket has; a barrier compares them. */
  writes = 0;
  flushed = 0;
  readonly #headers: HeaderList;
  readonly #endStream: boolean;
  readonly #events: CallEvents;
  readonly #onOver: (call: ClientCall) => void;
  #stream: ClientHttp2Stream | undefined;
  #route: CallRoute | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #toldFull = false;
  #ended: boolean;
  #paused = false;
  #trailers: HeaderList | undefined;
  #over = false;

  constructor(headers: HeaderList, endStream: boolean, events: CallEvents, onOver: (call: ClientCall) => void) {
    this.#headers = headers;
    this.#endStream = endStream;
    this.#ended = endStream;
    this.#events = events;
    this.#onOver = onOver;
  }

  get isOver(): boolean {
    return this.#over;
  }

  get isWaiting(): boolean {
    return this.#stream === undefined;
  }

  /** Opens the stream. `onClosed` is called when its place on the connection is free again. */
  start(route: CallRoute, onClosed: () => void): void {
    if (this.#over) {
      onClosed();
      return;
    }
    let stream: ClientHttp2Stream;
    try {
      stream = route.request(withAuthority(sendableHeaders(this.#headers), route.authority), this.#endStream);
    } catch {
      // A name or a pseudo-header that HTTP/2 does not allow.
      onClosed();
      this.diesSoon(ResetCode.internal, "peer");
      return;
    }
    this.#stream = stream;
    this.#route = route;
    stream.on("error", ignore);
    stream.on("close", () => {
      onClosed();
      this.#closed(stream.rstCode);
    });
    stream.on("drain", () => {
      if (!this.#over) this.#events.onDrain();
    });
    stream.on("trailers", (_object, _flags, raw) => {
      this.#trailers = raw;
    });
    stream.on("end", () => this.#answerEnd());
    stream.on("response", (_object, flags, raw) => this.#response(raw, flags));
    this.#sendWaiting(stream);
  }

  respond(): void {}

  trailers(): void {
    this.end();
  }

  write(bytes: Uint8Array): "taken" | "full" {
    if (this.#over || this.#ended) return "taken";
    this.writes += 1;
    if (this.#stream !== undefined) return this.#send(this.#stream, bytes);
    this.#waiting.push(ownBytes(bytes));
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes < waitingBytesMax) return "taken";
    this.#toldFull = true;
    return "full";
  }

  end(): void {
    if (this.#over || this.#ended) return;
    this.#ended = true;
    this.#stream?.end();
  }

  reset(code: number): void {
    if (this.#over) return;
    this.#finish();
    this.#discard(sendableResetCode(code, ResetCode.internal));
  }

  pause(): void {
    this.#paused = true;
    this.#stream?.pause();
  }

  resume(): void {
    this.#paused = false;
    // Before the answer's headers nothing may flow: node:http2 gives data before headers that came with it.
    if (this.#stream !== undefined && this.#stream.listenerCount("data") > 0) this.#stream.resume();
  }

  get unsentBytes(): number {
    return this.#stream?.writableLength ?? this.#waitingBytes;
  }

  /** Ends a call that has no stream. */
  diesSoon(code: number, cause: ResetCause): void {
    if (this.#over) return;
    this.#finish();
    setImmediate(() => this.#events.onReset(code, cause));
  }

  #sendWaiting(stream: ClientHttp2Stream): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    let full = false;
    for (const bytes of waiting) full = this.#send(stream, bytes) === "full";
    if (this.#ended && !this.#endStream) stream.end();
    if (this.#toldFull && !full) setImmediate(() => this.#over || this.#events.onDrain());
  }

  #send(stream: ClientHttp2Stream, bytes: Uint8Array): "taken" | "full" {
    if (stream.destroyed || stream.closed || stream.writableEnded) return "taken";
    return stream.write(ownBytes(bytes), this.#onFlushed) ? "taken" : "full";
  }

  readonly #onFlushed = (): void => {
    this.flushed += 1;
  };

  #response(headers: HeaderList, flags: number): void {
    const stream = this.#stream;
    if (this.#over || stream === undefined) return;
    const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    if (endStream) {
      this.#answered();
      this.#events.onHeaders(headers, true);
      return;
    }
    this.#events.onHeaders(headers, false);
    if (this.#over) return;
    if (this.#paused) stream.pause();
    stream.on("data", (chunk: Buffer) => {
      if (!this.#over) this.#events.onData(chunk);
    });
  }

  #answerEnd(): void {
    // A stream that was reset without an error ends too, but its answer is not whole.
    if (this.#over || (this.#stream?.aborted === true && this.#trailers === undefined)) return;
    this.#answered();
    if (this.#trailers === undefined) this.#events.onEnd();
    else this.#events.onTrailers(this.#trailers);
  }

  #answered(): void {
    this.#finish();
    this.#discard(ResetCode.noError);
  }

  #closed(rstCode: number): void {
    if (this.#over) return;
    this.#finish();
    if (this.#route?.isLost() !== true) this.#events.onReset(rstCode, "peer");
    else this.#events.onReset(rstCode === ResetCode.noError ? ResetCode.cancel : rstCode, "connection");
  }

  #finish(): void {
    this.#over = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#onOver(this);
  }

  /**
   * Unread data must flow off: node:http2 keeps the stream until it has been read. Not from inside one of its read
   * callbacks: a stream that is closed there with data to send makes node:http2 (of Node 24) send empty frames for ever.
   */
  #discard(code: number): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    setImmediate(() => {
      stream.resume();
      if (!stream.closed && !(code === ResetCode.noError && stream.writableFinished)) stream.close(code);
    });
  }
}

/** node:http2 adds the connection's own authority where there is none; the request's `host` says it better. */
function withAuthority(headers: string[], authority: string): string[] {
  let host: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === ":authority") return headers;
    if (headers[i] === "host") host = headers[i + 1];
  }
  return [":authority", host ?? authority, ...headers];
}

function ignore(): void {
  // 'close' follows with the code, which is all there is to know.
}
