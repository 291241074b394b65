import { Cluster, Redis } from "ioredis";
import { StoreError } from "../port.ts";
import { firstWord, storeError } from "./errors.ts";
import type { Script } from "./scripts.ts";
import { readSentinelUrl } from "./sentinel-url.ts";

export interface ConnectionOptions {
  /** `redis://`, `rediss://` or `redis+sentinel://`, with user, password and database where needed. */
  readonly url: string;
  readonly operationTimeoutMs: number;
  /** cluster: `url` names one node, the others are discovered. */
  readonly topology: "single" | "cluster";
}

type Client = Redis | Cluster;

const reconnectMsMin = 20;
const reconnectMsMax = 1_000;
/** The socket is given up this long after an operation on it has timed out, so that the time-out is what the caller sees. */
const socketGraceMs = 250;

/**
 * One connection, with the answers that ioredis leaves open: commands are never queued while there is no connection and never sent twice,
 * and those in flight when a connection breaks are rejected at once, with `outcomeUnknown` for writes.
 */
export class Connection {
  readonly operationTimeoutMs: number;
  readonly #client: Client;
  readonly #inFlight = new Set<(error: Error) => void>();
  readonly #waiting = new Set<() => void>();
  #closed = false;
  #lastError: Error | undefined;

  constructor(options: ConnectionOptions) {
    this.operationTimeoutMs = options.operationTimeoutMs;
    this.#client = connect(options);
    this.#client.on("error", (error: Error) => {
      this.#lastError = error;
    });
    this.#client.on("ready", () => {
      this.#lastError = undefined;
      wake(this.#waiting);
    });
    this.#client.on("close", () => {
      const error = new Error("the connection broke", { cause: this.#lastError });
      for (const reject of [...this.#inFlight]) {
        reject(error);
      }
    });
  }

  /** An operation has `operationTimeoutMs` in all, however many commands it sends. `what` completes "Redis could not ...". */
  operation(kind: "read" | "write", what: string): Operation {
    return new Operation(this, kind, what, performance.now() + this.operationTimeoutMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#client.disconnect();
    wake(this.#waiting);
  }

  /** Resolves with the client when it is connected, `undefined` when the time is over first. */
  async ready(deadlineMs: number): Promise<Client | undefined> {
    for (;;) {
      if (this.#closed) {
        throw new StoreError("StoreClosed", "The store is closed.");
      }
      if (this.#client.status === "ready") {
        return this.#client;
      }
      const restMs = deadlineMs - performance.now();
      if (restMs <= 0) {
        return undefined;
      }
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          this.#waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, restMs);
        this.#waiting.add(done);
      });
    }
  }

  get lastError(): Error | undefined {
    return this.#lastError;
  }

  /** `undefined`: no answer in time. */
  async answer<T>(reply: Promise<T>, deadlineMs: number): Promise<{ value: T } | undefined> {
    return await new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        this.#inFlight.delete(broken);
        settle();
      };
      const broken = (error: Error) => end(() => reject(error));
      const timer = setTimeout(() => end(() => resolve(undefined)), Math.max(0, deadlineMs - performance.now()));
      this.#inFlight.add(broken);
      reply.then(
        (value) => end(() => resolve({ value })),
        (error: unknown) => end(() => reject(error)),
      );
    });
  }
}

export class Operation {
  readonly #connection: Connection;
  readonly #kind: "read" | "write";
  readonly #what: string;
  readonly #deadlineMs: number;
  #outcomeUnknown = false;

  constructor(connection: Connection, kind: "read" | "write", what: string, deadlineMs: number) {
    this.#connection = connection;
    this.#kind = kind;
    this.#what = what;
    this.#deadlineMs = deadlineMs;
  }

  async script(
    script: Script,
    keys: readonly string[],
    values: readonly (string | number | Uint8Array)[],
  ): Promise<string[]> {
    const arguments_ = [...keys, ...values.map((value) => (value instanceof Uint8Array ? bufferOf(value) : value))];
    const reply = await this.send(async (client) => {
      try {
        return await client.evalsha(script.sha1, keys.length, ...arguments_);
      } catch (error) {
        if (firstWord(error) !== "NOSCRIPT") {
          throw error;
        }
        return await client.eval(script.lua, keys.length, ...arguments_);
      }
    });
    return reply as string[];
  }

  async send<T>(command: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.#connection.ready(this.#deadlineMs);
    if (client === undefined) {
      throw this.#unconnected();
    }
    try {
      const answer = await this.#connection.answer(command(client), this.#deadlineMs);
      if (answer !== undefined) {
        // An operation of several commands that breaks off later has done a part of its work.
        this.#outcomeUnknown = this.#kind === "write";
        return answer.value;
      }
    } catch (error) {
      throw storeError(this.#what, error, this.#outcomeUnknown, this.#kind);
    }
    throw new StoreError(
      "StoreTimeout",
      `Redis did not ${this.#what} within ${this.#connection.operationTimeoutMs} ms${this.#kind === "write" ? ", and may still do it" : ""}. Try again.`,
      { outcomeUnknown: this.#kind === "write" },
    );
  }

  #unconnected(): StoreError {
    const cause = this.#connection.lastError;
    return new StoreError(
      "StoreUnavailable",
      `Redis could not ${this.#what}: there was no connection within ${this.#connection.operationTimeoutMs} ms${cause === undefined ? "" : ` (${cause.message})`}. Check the store's URL and the server.`,
      { cause, outcomeUnknown: this.#outcomeUnknown },
    );
  }
}

function connect(options: ConnectionOptions): Client {
  const retryStrategy = (times: number) => Math.min(reconnectMsMin * 2 ** Math.min(times, 10), reconnectMsMax);
  const common = {
    autoResendUnfulfilledCommands: false,
    connectTimeout: options.operationTimeoutMs,
    socketTimeout: options.operationTimeoutMs + socketGraceMs,
    keepAlive: options.operationTimeoutMs,
    maxRetriesPerRequest: null,
    reconnectOnError: (error: Error) => firstWord(error) === "READONLY",
  };
  if (options.url.startsWith("redis+sentinel:")) {
    const target = readSentinelUrl(options.url);
    return new Redis({
      ...common,
      ...target,
      enableOfflineQueue: false,
      failoverDetector: true,
      retryStrategy,
      sentinelCommandTimeout: options.operationTimeoutMs,
      sentinelRetryStrategy: retryStrategy,
    });
  }
  if (options.topology === "single") {
    return new Redis(options.url, { ...common, enableOfflineQueue: false, retryStrategy });
  }
  const url = new URL(options.url);
  return new Cluster([options.url], {
    clusterRetryStrategy: retryStrategy,
    enableOfflineQueue: false,
    slotsRefreshTimeout: options.operationTimeoutMs,
    redisOptions: {
      ...common,
      ...(url.username === "" ? {} : { username: decodeURIComponent(url.username) }),
      ...(url.password === "" ? {} : { password: decodeURIComponent(url.password) }),
      ...(url.protocol === "rediss:" ? { tls: {} } : {}),
    },
  });
}

function wake(waiting: ReadonlySet<() => void>): void {
  for (const done of [...waiting]) {
    done();
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
