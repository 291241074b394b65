import type { Http2Limits } from "../port.ts";
import type { Connection } from "./connection.ts";

const everyMsMin = 10;
const everyMsMax = 1_000;

/** Looks at all connections of a server or a client now and then: one timer for all of them, and none without any. */
export class Sweep {
  readonly #connections: ReadonlySet<Connection>;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(connections: ReadonlySet<Connection>, limits: Http2Limits) {
    this.#connections = connections;
    const { headerBlockTimeoutMs, idleTimeoutMs, pingTimeoutMs } = limits;
    const shortestMs = Math.min(headerBlockTimeoutMs, idleTimeoutMs, pingTimeoutMs);
    this.#everyMs = Math.max(everyMsMin, Math.min(everyMsMax, shortestMs / 4));
  }

  /** There is a connection. */
  wake(): void {
    this.#timer ??= setInterval(() => this.#look(), this.#everyMs).unref();
  }

  #look(): void {
    for (const connection of this.#connections) connection.sweep(this.#everyMs);
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
