import { setTimeout as delay } from "node:timers/promises";
import {
  BarrierError,
  type CallEvents,
  type CallStream,
  type HeaderList,
  type Http2Client,
  type Http2ClientOptions,
  type ResetCause,
  ResetCode,
} from "./port.ts";

/** A call that may wait for a connection. */
export interface PooledCall extends CallStream {
  /** Ends it as reset, soon: not from inside of this method. */
  diesSoon(code: number, cause: ResetCause): void;
}

/** A connection of a client, of one layer or the other. */
export interface PooledConnection<C> {
  /** `opening`: its limit of streams is not known yet. */
  readonly phase: "opening" | "open" | "draining" | "closed";
  /** Whether it takes a call now. */
  readonly hasRoom: boolean;
  open(call: C): void;
  /** Resolves when the peer has processed what was sent before. */
  ping(): Promise<void>;
  /** No new calls; ends when those that are open have ended. */
  close(): void;
  destroy(reason: string): void;
}

type PoolOptions = Required<
  Pick<Http2ClientOptions, "host" | "port" | "connectionsMax" | "waitingCallsMax" | "barrierTimeoutMs">
>;

export const defaultPoolOptions = {
  connectTimeoutMs: 5_000,
  connectionsMax: 8,
  waitingCallsMax: 1024,
  barrierTimeoutMs: 5_000,
} as const;

const flushPollMs = 1;

/** The connections of a client to one server, and the calls that wait for one: how many there are, and which call goes where. */
export abstract class ClientPool<C extends PooledCall, N extends PooledConnection<C>> implements Http2Client {
  lastError: string | undefined;
  protected readonly connections = new Set<N>();
  protected readonly waiting = new Set<C>();
  protected readonly authority: string;
  protected isClosing = false;
  readonly #options: PoolOptions;
  #whenEmpty: (() => void)[] = [];

  constructor(options: PoolOptions) {
    this.#options = options;
    const { host, port } = options;
    this.authority = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  }

  abstract get openStreams(): number;
  abstract open(headers: HeaderList, endStream: boolean, events: CallEvents): CallStream;

  /** Begins to make a connection and adds it to `connections`; it says `ready`, `roomChanged` and `lost`. */
  protected abstract connect(): void;

  /** Of all calls that there are now: whether what was written to them until now has been handed to sockets. */
  protected abstract flushing(): () => "flushed" | "pending";

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
    this.isClosing = true;
    this.#refuseWaiting();
    for (const connection of [...this.connections]) connection.close();
    if (this.connections.size === 0) return;
    const timer = setTimeout(() => {
      for (const connection of this.connections) connection.destroy("the client is closed");
    }, graceMs);
    await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
    clearTimeout(timer);
  }

  /** Gives the call a connection, or lets it wait for one. */
  protected place(call: C): void {
    if (this.isClosing) {
      this.#refuse(call, "the agent is closing its connections");
      return;
    }
    const connection = this.waiting.size === 0 ? this.#withRoom() : undefined;
    if (connection !== undefined) connection.open(call);
    else if (this.waiting.size >= this.#options.waitingCallsMax) {
      this.#refuse(call, `${this.#options.waitingCallsMax} calls wait for a connection already`);
    } else {
      this.waiting.add(call);
      this.#placeWaiting();
    }
  }

  /** The peer's limit of a new connection is known. */
  protected ready(): void {
    this.lastError = undefined;
    this.#placeWaiting();
  }

  /** A connection may have room, or will have none any more. */
  protected roomChanged(): void {
    if (!this.isClosing && this.waiting.size > 0) this.#placeWaiting();
  }

  /** A connection has gone. `never`: it could not be had. `reason`: why, unless it was an orderly end. */
  protected lost(connection: N, was: "never" | "open", reason: string | undefined): void {
    if (reason !== undefined) this.lastError = reason;
    this.connections.delete(connection);
    if (was === "open") this.roomChanged();
    // With a connection left, calls wait for room there.
    else if (![...this.connections].some(isUsable)) this.#refuseWaiting();
    if (this.connections.size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  #placeWaiting(): void {
    for (const call of this.waiting) {
      const connection = this.#withRoom();
      if (connection === undefined) {
        this.#connectOne();
        return;
      }
      this.waiting.delete(call);
      connection.open(call);
    }
  }

  #withRoom(): N | undefined {
    for (const connection of this.connections) if (connection.hasRoom) return connection;
    return undefined;
  }

  /** One at a time: whether the next is needed shows when this one's limit is known. */
  #connectOne(): void {
    const { connectionsMax } = this.#options;
    let usable = 0;
    for (const connection of this.connections) {
      if (connection.phase === "opening") return;
      if (connection.phase === "open") usable += 1;
    }
    if (usable < connectionsMax && this.connections.size < 2 * connectionsMax) this.connect();
  }

  #refuse(call: C, reason: string): void {
    this.lastError = reason;
    call.diesSoon(ResetCode.refused, "connection");
  }

  #refuseWaiting(): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const call of waiting) call.diesSoon(ResetCode.refused, "connection");
  }

  async #processed(signal: AbortSignal): Promise<void> {
    const look = this.flushing();
    while (look() === "pending") await delay(flushPollMs, undefined, { signal });
    await Promise.all([...this.connections].map((connection) => connection.ping()));
  }
}

function isUsable({ phase }: PooledConnection<never>): boolean {
  return phase === "opening" || phase === "open";
}
