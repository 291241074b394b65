import type { ServerHttp2Session, ServerHttp2Stream, ServerStreamResponseOptions } from "node:http2";
import { ownBytes } from "@cutline/runtime";
import { type CallEvents, type CallStream, type HeaderList, ResetCode } from "../port.ts";
import { sendableHeaders, sendableResetCode, trailersObject } from "./session.ts";

/** A call that a peer makes to us. `aborted` of node:http2 tells a cut request from an ended one. */
export class ServerCall implements CallStream {
  readonly #stream: ServerHttp2Stream;
  readonly #session: ServerHttp2Session;
  #events: CallEvents | undefined;
  #requestEnded: boolean;
  #requestTrailers: HeaderList | undefined;
  #answerTrailers: HeaderList = [];
  /** The answer's last frame is with nghttp2. */
  #answered = false;
  #over = false;

  constructor(session: ServerHttp2Session, stream: ServerHttp2Stream, endStream: boolean) {
    this.#session = session;
    this.#stream = stream;
    this.#requestEnded = endStream;
    stream.on("error", ignore);
    stream.on("close", () => this.#closed());
    stream.on("wantTrailers", () => this.#sendTrailers());
  }

  /** Begins to hand over what arrives. */
  listen(events: CallEvents): void {
    this.#events = events;
    const stream = this.#stream;
    stream.on("trailers", (_object, _flags, raw) => {
      this.#requestTrailers = raw;
    });
    stream.on("end", () => this.#requestEnd());
    stream.on("drain", () => {
      if (!this.#over) events.onDrain();
    });
    stream.on("data", (chunk: Buffer) => {
      if (!this.#over) events.onData(chunk);
    });
  }

  respond(headers: HeaderList, endStream: boolean): void {
    const stream = this.#stream;
    if (this.#over || stream.closed || stream.destroyed || stream.headersSent) return;
    // `sendDate` is missing in the type; without it node:http2 adds a `date` that the application never sent.
    const options: ServerStreamResponseOptions & { sendDate: false } = {
      endStream,
      waitForTrailers: !endStream,
      sendDate: false,
    };
    try {
      stream.respond(sendableHeaders(headers), options);
    } catch {
      // A status or a name that HTTP/2 does not allow: the peer learns it as from any server that fails.
      this.#fail();
      return;
    }
    if (endStream) this.#complete();
  }

  write(bytes: Uint8Array): "taken" | "full" {
    if (!this.#isWritable()) return "taken";
    return this.#stream.write(ownBytes(bytes)) ? "taken" : "full";
  }

  end(): void {
    if (this.#isWritable()) this.#stream.end();
  }

  trailers(headers: HeaderList): void {
    if (!this.#isWritable()) return;
    this.#answerTrailers = headers;
    this.#stream.end();
  }

  reset(code: number): void {
    if (this.#over) return;
    this.#over = true;
    this.#discard(sendableResetCode(code, ResetCode.internal));
  }

  pause(): void {
    if (!this.#over) this.#stream.pause();
  }

  resume(): void {
    if (!this.#over) this.#stream.resume();
  }

  get unsentBytes(): number {
    return this.#stream.writableLength;
  }

  #isWritable(): boolean {
    const stream = this.#stream;
    if (this.#over || stream.closed || stream.destroyed) return false;
    if (!stream.headersSent) {
      // node:http2 would send headers of its own.
      this.#fail();
      return false;
    }
    return !stream.writableEnded;
  }

  #sendTrailers(): void {
    try {
      // Without names this is an empty DATA frame that ends the stream.
      this.#stream.sendTrailers(trailersObject(this.#answerTrailers));
    } catch {
      this.#fail();
      return;
    }
    this.#complete();
  }

  /** node:http2 submits trailers in an immediate of its own; ours comes after it. */
  #complete(): void {
    this.#answered = true;
    setImmediate(() => {
      if (this.#over) return;
      this.#over = true;
      this.#discard(ResetCode.noError);
      if (!this.#requestEnded) this.#events?.onReset(ResetCode.noError, "answered");
    });
  }

  #requestEnd(): void {
    if (this.#over || this.#requestEnded || this.#stream.aborted) return;
    this.#requestEnded = true;
    if (this.#requestTrailers === undefined) this.#events?.onEnd();
    else this.#events?.onTrailers(this.#requestTrailers);
  }

  #closed(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#answered) {
      if (!this.#requestEnded) this.#events?.onReset(ResetCode.noError, "answered");
      return;
    }
    const connectionLost = this.#session.destroyed;
    const code = this.#stream.rstCode;
    if (connectionLost) this.#events?.onReset(code === 0 ? ResetCode.cancel : code, "connection");
    else this.#events?.onReset(code, "peer");
  }

  #fail(): void {
    this.#over = true;
    this.#discard(ResetCode.internal);
    setImmediate(() => this.#events?.onReset(ResetCode.internal, "peer"));
  }

  /**
   * Unread data must flow off: node:http2 keeps the stream until it has been read. Not from inside one of its read
   * callbacks: a stream that is closed there with data to send makes node:http2 (of Node 24) send empty frames for ever.
   */
  #discard(code: number): void {
    const stream = this.#stream;
    setImmediate(() => {
      stream.resume();
      if (!stream.closed && !(code === ResetCode.noError && this.#requestEnded)) stream.close(code);
    });
  }
}

function ignore(): void {
  // 'close' follows with the code, which is all there is to know.
}
