import { connectShared } from "@cutline/runtime";
import { ClientPool, defaultPoolOptions } from "../client-pool.ts";
import { HeldBytes } from "../held-bytes.ts";
import {
  type CallEvents,
  type CallStream,
  createHttp2Meter,
  defaultHttp2Limits,
  type HeaderList,
  type Http2Client,
  type Http2ClientOptions,
  type Http2Limits,
} from "../port.ts";
import { Connection } from "./connection.ts";
import { noteClosed, noteOpened } from "./meter.ts";
import { Stream } from "./stream.ts";
import { Sweep } from "./sweep.ts";

/** HTTP/2 with prior knowledge by the lean layer. */
export function createLeanClient(options: Http2ClientOptions): Http2Client {
  return new LeanClient({
    ...defaultPoolOptions,
    meter: createHttp2Meter(),
    held: new HeldBytes(),
    onConnectionLost() {},
    ...options,
    limits: { ...defaultHttp2Limits, ...options.limits },
  });
}

type LeanClientOptions = Required<Omit<Http2ClientOptions, "limits">> & { readonly limits: Http2Limits };

class LeanClient extends ClientPool<Stream, Connection> {
  readonly #options: LeanClientOptions;
  readonly #sweep: Sweep;

  constructor(options: LeanClientOptions) {
    super(options);
    this.#options = options;
    this.#sweep = new Sweep(this.connections, options.limits);
  }

  get openStreams(): number {
    let streams = this.waiting.size;
    for (const connection of this.connections) streams += connection.openStreams;
    return streams;
  }

  open(headers: HeaderList, endStream: boolean, events: CallEvents): CallStream {
    const call = Stream.waiting(withAuthority(headers, this.authority), endStream, events, this.#onCallOver);
    this.place(call);
    return call;
  }

  protected connect(): void {
    const { host, port, limits, connectTimeoutMs, held, meter } = this.#options;
    const socket = connectShared({ host, port, noDelay: true, keepAlive: true });
    let was: "never" | "open" = "never";
    const timer = setTimeout(
      () => connection.destroy(`${this.authority} did not answer as an HTTP/2 server within ${connectTimeoutMs} ms`),
      connectTimeoutMs,
    );
    const connection = new Connection("client", socket, limits, held, {
      onStream() {
        throw new Error("a server cannot open a stream");
      },
      onReady: () => {
        was = "open";
        clearTimeout(timer);
        this.ready();
      },
      onRoomChanged: () => this.roomChanged(),
      onClosed: (reason) => {
        clearTimeout(timer);
        if (was === "never") reason ??= `${this.authority} closed the connection before it said anything`;
        if (reason !== undefined && !this.isClosing) this.#options.onConnectionLost(reason);
        noteClosed(meter, connection);
        this.lost(connection, was, reason);
      },
    });
    this.connections.add(connection);
    this.#sweep.wake();
    noteOpened(meter);
  }

  protected flushing(): () => "flushed" | "pending" {
    const calls = [...this.waiting, ...[...this.connections].flatMap((connection) => connection.streams)];
    return () => (calls.every((call) => call.isFlushed) ? "flushed" : "pending");
  }

  readonly #onCallOver = (call: Stream): void => {
    this.waiting.delete(call);
  };
}

/** Without an authority the request's `host` says it, else the server's own address. */
function withAuthority(headers: HeaderList, authority: string): HeaderList {
  let host: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === ":authority") return headers;
    if (headers[i] === "host") host = headers[i + 1];
  }
  return [":authority", host ?? authority, ...headers];
}
