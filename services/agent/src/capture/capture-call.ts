import { type CallStream, type HeaderList, type Http2Client, ResetCode } from "@cutline/h2";
import { CaptureRequest, CaptureResponse, ParticipantService } from "@cutline/proto/participant";
import { status as Status } from "@grpc/grpc-js";
import { chunkIn } from "../chunk-codec.ts";

const prefixBytes = 5;
/** Of messages that came and were not read; with more the application waits. */
const unreadBytesMax = 4 * 1024 * 1024;

export interface CaptureCallOptions {
  readonly client: Http2Client;
  /** `:authority`. */
  readonly authority: string;
  readonly messageBytesMax: number;
}

/** How a call ended that did not end well; `code` is gRPC's. */
export class CaptureCallError extends Error {
  readonly code: Status;
  readonly details: string;

  constructor(code: Status, details: string) {
    super(details);
    this.name = "CaptureCallError";
    this.code = code;
    this.details = details;
  }
}

type End = { readonly outcome: "ok" } | { readonly outcome: "failed"; readonly error: CaptureCallError };

/**
 * One `Capture` on this agent's own HTTP/2: traffic stands still while it is asked, and a state is mostly bytes, which
 * are copied once here. Its headers go out at once, its message with `request`.
 */
export class CaptureCall {
  readonly #stream: CallStream;
  readonly #messageBytesMax: number;
  readonly #unread: Buffer[] = [];
  #unreadBytes = 0;
  #flow: "flowing" | "paused" = "flowing";
  readonly #prefix = Buffer.alloc(prefixBytes);
  #prefixFilled = 0;
  #message: Buffer | undefined;
  #messageFilled = 0;
  #end: End | undefined;
  #reader: (() => void) | undefined;

  constructor({ client, authority, messageBytesMax }: CaptureCallOptions) {
    this.#messageBytesMax = messageBytesMax;
    const headers = [
      ...[":method", "POST", ":scheme", "http", ":path", ParticipantService.capture.path, ":authority", authority],
      ...["te", "trailers", "content-type", "application/grpc", "user-agent", "cutline-agent"],
    ];
    this.#stream = client.open(headers, false, {
      onHeaders: (answer, endStream) => this.#headersCame(answer, endStream),
      onData: (chunk) => this.#dataCame(chunk),
      onTrailers: (trailers) => this.#ended(endOf(trailers)),
      onEnd: () => this.#failed(Status.INTERNAL, "the answer ended without a status"),
      onReset: (code, cause) => {
        const isGone = cause === "connection" || code === ResetCode.refused;
        const status = isGone ? Status.UNAVAILABLE : code === ResetCode.cancel ? Status.CANCELLED : Status.INTERNAL;
        const why = isGone ? (client.lastError ?? "the connection broke") : `the call was reset with code ${code}`;
        this.#failed(status, why);
      },
      onDrain() {},
    });
  }

  /** To be called once. */
  request(request: CaptureRequest): void {
    const message = CaptureRequest.encode(request).finish();
    const framed = Buffer.alloc(prefixBytes + message.length);
    framed.writeUInt32BE(message.length, 1);
    framed.set(message, prefixBytes);
    this.#stream.write(framed);
    this.#stream.end();
  }

  /** The next message, one reader at a time; `undefined` at the end. Rejects with a {@link CaptureCallError}. */
  async next(): Promise<CaptureResponse | undefined> {
    for (;;) {
      const message = this.#unread.shift();
      if (message !== undefined) {
        this.#unreadBytes -= message.length;
        this.#mayGoOn();
        return decode(message);
      }
      if (this.#end?.outcome === "failed") throw this.#end.error;
      if (this.#end !== undefined) return undefined;
      await new Promise<void>((resolve) => {
        this.#reader = resolve;
      });
    }
  }

  /** Nothing more is wanted of it; asking again is harmless. */
  cancel(): void {
    if (this.#end !== undefined) return;
    this.#stream.reset(ResetCode.cancel);
    this.#failed(Status.CANCELLED, "the call was given up");
  }

  #headersCame(headers: HeaderList, endStream: boolean): void {
    const status = headerOf(headers, ":status");
    if (headerOf(headers, "grpc-status") !== undefined || endStream) this.#ended(endOf(headers));
    else if (status !== "200") this.#broken(Status.UNAVAILABLE, `the application answered with HTTP status ${status}`);
  }

  #dataCame(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0 && this.#end === undefined) {
      if (this.#message === undefined) {
        const taken = rest.copy(this.#prefix, this.#prefixFilled);
        this.#prefixFilled += taken;
        rest = rest.subarray(taken);
        if (this.#prefixFilled === prefixBytes) this.#begin();
      } else {
        const taken = rest.copy(this.#message, this.#messageFilled);
        this.#messageFilled += taken;
        rest = rest.subarray(taken);
      }
      if (this.#message !== undefined && this.#messageFilled === this.#message.length) this.#deliver(this.#message);
    }
  }

  #begin(): void {
    const length = this.#prefix.readUInt32BE(1);
    this.#prefixFilled = 0;
    if (this.#prefix[0] !== 0) {
      this.#broken(Status.UNIMPLEMENTED, "the answer is compressed");
      return;
    }
    if (length > this.#messageBytesMax) {
      const message = `a message has ${length} bytes, the limit is ${this.#messageBytesMax}`;
      this.#broken(Status.RESOURCE_EXHAUSTED, message);
      return;
    }
    // Not from Node's pool: what is kept of a state is kept as it is.
    this.#message = Buffer.allocUnsafeSlow(length);
    this.#messageFilled = 0;
  }

  #deliver(message: Buffer): void {
    this.#message = undefined;
    this.#unread.push(message);
    this.#unreadBytes += message.length;
    if (this.#unreadBytes > unreadBytesMax && this.#flow === "flowing") {
      this.#flow = "paused";
      this.#stream.pause();
    }
    this.#wake();
  }

  #mayGoOn(): void {
    if (this.#flow === "flowing" || this.#unreadBytes > unreadBytesMax) return;
    this.#flow = "flowing";
    this.#stream.resume();
  }

  #broken(code: Status, details: string): void {
    this.#stream.reset(ResetCode.cancel);
    this.#failed(code, details);
  }

  #failed(code: Status, details: string): void {
    this.#ended({ outcome: "failed", error: new CaptureCallError(code, details) });
  }

  #ended(end: End): void {
    this.#end ??= end;
    this.#wake();
  }

  #wake(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.();
  }
}

function decode(message: Buffer): CaptureResponse {
  const chunk = chunkIn(message);
  return chunk === undefined ? CaptureResponse.decode(message) : { body: { $case: "stateChunk", value: chunk } };
}

function endOf(headers: HeaderList): End {
  const status = headerOf(headers, "grpc-status");
  if (status === "0") return { outcome: "ok" };
  const said = unescaped(headerOf(headers, "grpc-message") ?? "");
  const code = /^\d{1,2}$/.test(status ?? "") ? Number(status) : Status.UNKNOWN;
  const details = status === undefined ? "the application answered without a status of gRPC" : said;
  return { outcome: "failed", error: new CaptureCallError(code, details) };
}

function headerOf(headers: HeaderList, name: string): string | undefined {
  for (let at = 0; at < headers.length; at += 2) if (headers[at] === name) return headers[at + 1];
  return undefined;
}

/** `grpc-message` is percent-encoded UTF-8; what is not is taken as it stands. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}
