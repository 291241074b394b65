import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import {
  BarrierError,
  type CallEvents,
  type CallStream,
  createHttp2Meter,
  defaultHttp2Limits,
  type HeaderList,
  type Http2Client,
  type Http2ClientOptions,
  type Http2Limits,
  ResetCode,
} from "../port.ts";
import { Connection } from "./connection.ts";
import { noteClosed, noteOpened } from "./meter.ts";
import { Stream } from "./stream.ts";

/** HTTP/2 with prior knowledge by the lean layer. */
export function createLeanClient(options: Http2ClientOptions): Http2Client {
  return new LeanClient(options);
}

const flushPollMs = 1;

class LeanClient implements Http2Client {
  lastError: string | undefined;
  readonly #options: Required<Omit<Http2ClientOptions, "limits">> & { readonly limits: Http2Limits };
  readonly #connections = new Set<Connection>();
  readonly #waiting = new Set<Stream>();
  readonly #authority: string;
  #closing = false;
  #whenEmpty: (() => void)[] = [];

  constructor(options: Http2ClientOptions) {
    this.#options = {
      connectTimeoutMs: 5_000,
      connectionsMax: 8,
      waitingCallsMax: 1024,
      barrierTimeoutMs: 5_000,
      meter: createHttp2Meter(),
      ...options,
      limits: { ...defaultHttp2Limits, ...options.limits },
    };
    const { host, port } = options;
    this.#authority = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  }

  get openStreams(): number {
    let streams = this.#waiting.size;
    for (const connection of this.#connections) streams += connection.openStreams;
    return streams;
  }

  open(headers: HeaderList, endStream: boolean, events: CallEvents): CallStream {
    const call = Stream.waiting(withAuthority(headers, this.#authority), endStream, events, this.#onCallOver);
    if (this.#closing) {
      this.lastError = "the agent is closing its connections";
      call.diesSoon(ResetCode.refused, "connection");
      return call;
    }
    const connection = this.#waiting.size === 0 ? this.#connectionWithRoom() : undefined;
    if (connection !== undefined) connection.open(call);
    else if (this.#waiting.size >= this.#options.waitingCallsMax) {
      this.lastError = `${this.#options.waitingCallsMax} calls wait for a connection already`;
      call.diesSoon(ResetCode.refused, "connection");
    } else {
      this.#waiting.add(call);
      this.#placeWaiting();
    }
    return call;
  }

  async barrier(): Promise<void> {
    const { barrierTimeoutMs, host, port } = this.#options;
    const abort = new AbortController();
    const timeout = delay(barrierTimeoutMs, undefined, { signal: abort.signal }).then(() => {
      throw new BarrierError(
        "BarrierTimeout",
        `${host}:${port} has not processed everything within ${barrierTimeoutMs} ms; some call is read too slowly, or it hangs`,
      );
    });
    try {
      await Promise.race([this.#processed(abort.signal), timeout]);
    } finally {
      abort.abort();
    }
  }

  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    this.#refuseWaiting();
    for (const connection of [...this.#connections]) connection.close();
    if (this.#connections.size === 0) return;
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy("the client is closed");
    }, graceMs);
    await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
    clearTimeout(timer);
  }

  readonly #onCallOver = (call: Stream): void => {
    this.#waiting.delete(call);
  };

  #placeWaiting(): void {
    for (const call of this.#waiting) {
      const connection = this.#connectionWithRoom();
      if (connection === undefined) {
        this.#connect();
        return;
      }
      this.#waiting.delete(call);
      connection.open(call);
    }
  }

  #connectionWithRoom(): Connection | undefined {
    for (const connection of this.#connections) if (connection.hasRoom) return connection;
    return undefined;
  }

  /** One at a time: whether the next is needed shows when this one's limit is known. */
  #connect(): void {
    const { connectionsMax, host, port, limits, connectTimeoutMs } = this.#options;
    let usable = 0;
    for (const connection of this.#connections) {
      if (connection.phase === "opening") return;
      if (connection.phase === "open") usable += 1;
    }
    if (usable >= connectionsMax || this.#connections.size >= 2 * connectionsMax) return;
    const socket = connect({ host, port, noDelay: true, keepAlive: true });
    let wasReady = false;
    const timer = setTimeout(
      () => connection.destroy(`${this.#authority} did not answer as an HTTP/2 server within ${connectTimeoutMs} ms`),
      connectTimeoutMs,
    );
    const connection = new Connection("client", socket, limits, {
      onStream() {
        throw new Error("a server cannot open a stream");
      },
      onReady: () => {
        wasReady = true;
        clearTimeout(timer);
        this.lastError = undefined;
        this.#placeWaiting();
      },
      onRoomChanged: () => {
        if (!this.#closing && this.#waiting.size > 0) this.#placeWaiting();
      },
      onClosed: (reason) => {
        clearTimeout(timer);
        if (reason !== undefined) this.lastError = reason;
        else if (!wasReady) this.lastError = `${this.#authority} closed the connection before it said anything`;
        this.#connections.delete(connection);
        noteClosed(this.#options.meter, connection);
        // With a connection left, calls wait for room there.
        if (!wasReady && ![...this.#connections].some(isUsable)) this.#refuseWaiting();
        if (!this.#closing) this.#placeWaiting();
        if (this.#connections.size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
      },
    });
    this.#connections.add(connection);
    noteOpened(this.#options.meter);
  }

  #refuseWaiting(): void {
    for (const call of [...this.#waiting]) call.diesSoon(ResetCode.refused, "connection");
  }

  async #processed(signal: AbortSignal): Promise<void> {
    const calls = [...this.#waiting, ...[...this.#connections].flatMap((connection) => connection.streams)];
    while (!calls.every((call) => call.isFlushed)) await delay(flushPollMs, undefined, { signal });
    await Promise.all([...this.#connections].map((connection) => connection.ping()));
  }
}

function isUsable(connection: Connection): boolean {
  return connection.phase === "opening" || connection.phase === "open";
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
