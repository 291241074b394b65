import { setTimeout as delay } from "node:timers/promises";
import {
  BarrierError,
  type CallEvents,
  type CallStream,
  defaultHttp2Limits,
  type HeaderList,
  type Http2Client,
  type Http2ClientOptions,
  type Http2Limits,
  ResetCode,
} from "../port.ts";
import { ClientCall } from "./client-call.ts";
import { ClientConnection, type ConnectionEvents } from "./connection.ts";

/** HTTP/2 with prior knowledge by node:http2. */
export function createNodeHttp2Client(options: Http2ClientOptions): Http2Client {
  return new NodeHttp2Client(options);
}

const flushPollMs = 1;

class NodeHttp2Client implements Http2Client {
  lastError: string | undefined;
  readonly #options: Required<Omit<Http2ClientOptions, "limits" | "meter">> & { readonly limits: Http2Limits };
  readonly #connections = new Set<ClientConnection>();
  readonly #calls = new Set<ClientCall>();
  #waiting: ClientCall[] = [];
  #closing = false;
  #whenEmpty: (() => void)[] = [];

  constructor(options: Http2ClientOptions) {
    this.#options = {
      connectTimeoutMs: 5_000,
      connectionsMax: 8,
      waitingCallsMax: 1024,
      barrierTimeoutMs: 5_000,
      ...options,
      limits: { ...defaultHttp2Limits, ...options.limits },
    };
  }

  get openStreams(): number {
    return this.#calls.size;
  }

  open(headers: HeaderList, endStream: boolean, events: CallEvents): CallStream {
    const call = new ClientCall(headers, endStream, events, this.#onCallOver);
    this.#calls.add(call);
    if (this.#closing) {
      this.lastError = "the agent is closing its connections";
      call.fail(ResetCode.refused, "connection");
    } else if (this.#waiting.length >= this.#options.waitingCallsMax) {
      this.lastError = `${this.#options.waitingCallsMax} calls wait for a connection already`;
      call.fail(ResetCode.refused, "connection");
    } else {
      this.#waiting.push(call);
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
    for (const call of this.#waiting.splice(0)) call.fail(ResetCode.refused, "connection");
    for (const connection of this.#connections) connection.close();
    if (this.#connections.size === 0) return;
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, graceMs);
    await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
    clearTimeout(timer);
  }

  readonly #onCallOver = (call: ClientCall): void => {
    this.#calls.delete(call);
    if (!call.isWaiting) return;
    const at = this.#waiting.indexOf(call);
    if (at >= 0) this.#waiting.splice(at, 1);
  };

  #placeWaiting(): void {
    while (this.#waiting.length > 0) {
      const connection = this.#connectionWithRoom();
      if (connection === undefined) {
        this.#connect();
        return;
      }
      const call = this.#waiting.shift();
      if (call !== undefined) connection.start(call);
    }
  }

  #connectionWithRoom(): ClientConnection | undefined {
    for (const connection of this.#connections) if (connection.hasRoom) return connection;
    return undefined;
  }

  /** One at a time: whether the next is needed shows when this one's limit is known. */
  #connect(): void {
    const { connectionsMax } = this.#options;
    let usable = 0;
    for (const connection of this.#connections) {
      if (connection.phase === "connecting") return;
      if (connection.isUsable) usable += 1;
    }
    if (usable >= connectionsMax || this.#connections.size >= 2 * connectionsMax) return;
    this.#connections.add(new ClientConnection(this.#options, this.#connectionEvents));
  }

  readonly #connectionEvents: ConnectionEvents = {
    onReady: () => {
      this.lastError = undefined;
      this.#placeWaiting();
    },
    onRoomChanged: () => {
      if (!this.#closing) this.#placeWaiting();
    },
    onFailed: (connection, reason) => {
      this.lastError = reason;
      this.#remove(connection);
      // With a connection left, calls wait for room there.
      if ([...this.#connections].some((left) => left.isUsable)) return;
      for (const call of this.#waiting.splice(0)) call.fail(ResetCode.refused, "connection");
    },
    onClosed: (connection, reason) => {
      if (reason !== undefined) this.lastError = reason;
      this.#remove(connection);
      if (!this.#closing) this.#placeWaiting();
    },
  };

  #remove(connection: ClientConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  async #processed(signal: AbortSignal): Promise<void> {
    const targets = [...this.#calls].map((call) => ({ call, writes: call.writes }));
    const isFlushed = ({ call, writes }: { call: ClientCall; writes: number }) =>
      call.isOver || (!call.isWaiting && call.flushed >= writes);
    while (!targets.every(isFlushed)) await delay(flushPollMs, undefined, { signal });
    await Promise.all([...this.#connections].map((connection) => connection.ping()));
  }
}
