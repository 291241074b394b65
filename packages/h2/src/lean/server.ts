import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { HeldBytes } from "../held-bytes.ts";
import {
  type AcceptedConnection,
  createHttp2Meter,
  defaultHttp2Limits,
  type Http2Limits,
  type Http2Meter,
  type Http2Server,
} from "../port.ts";
import { Connection } from "./connection.ts";
import { noteClosed, noteOpened } from "./meter.ts";
import { Sweep } from "./sweep.ts";

/** HTTP/2 by the lean layer. Its connections are counted in `meter`, and what they hold in `held`. */
export function createLeanServer(
  limits: Partial<Http2Limits> = {},
  meter = createHttp2Meter(),
  held = new HeldBytes(),
): Http2Server {
  return new LeanServer({ ...defaultHttp2Limits, ...limits }, meter, held);
}

const flushPollMs = 1;

class LeanServer implements Http2Server {
  readonly #limits: Http2Limits;
  readonly #meter: Http2Meter;
  readonly #held: HeldBytes;
  readonly #connections = new Set<Connection>();
  readonly #sweep: Sweep;
  #closing = false;
  #whenEmpty: (() => void)[] = [];

  constructor(limits: Http2Limits, meter: Http2Meter, held: HeldBytes) {
    this.#limits = limits;
    this.#meter = meter;
    this.#held = held;
    this.#sweep = new Sweep(this.#connections, limits);
  }

  get openStreams(): number {
    let streams = 0;
    for (const connection of this.#connections) streams += connection.openStreams;
    return streams;
  }

  accept(socket: Socket, accepted: AcceptedConnection): void {
    if (this.#closing || socket.destroyed) {
      socket.destroy();
      accepted.onClose?.();
      return;
    }
    const { handshakeTimeoutMs } = this.#limits;
    const timer = setTimeout(
      () => connection.destroy(`no SETTINGS came within ${handshakeTimeoutMs} ms`),
      handshakeTimeoutMs,
    );
    const connection = new Connection("server", socket, this.#limits, this.#held, {
      onStream: (stream, headers, endStream) => accepted.onCall(stream, headers, endStream),
      onReady: () => clearTimeout(timer),
      onRoomChanged() {},
      onClosed: (reason) => {
        clearTimeout(timer);
        this.#connections.delete(connection);
        noteClosed(this.#meter, connection);
        accepted.onClose?.(reason);
        if (this.#connections.size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
      },
    });
    this.#connections.add(connection);
    this.#sweep.wake();
    noteOpened(this.#meter);
  }

  async barrier(signal: AbortSignal): Promise<void> {
    // A ping overtakes data that waits for the flow control of its stream.
    const streams = [...this.#connections].flatMap((connection) => connection.streams);
    while (!streams.every((stream) => stream.isFlushed)) await delay(flushPollMs, undefined, { signal });
    await Promise.all([...this.#connections].map((connection) => pingTwice(connection, signal)));
  }

  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    for (const connection of [...this.#connections]) connection.close();
    if (this.#connections.size === 0) return;
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy("the server is closed");
    }, graceMs);
    await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
    clearTimeout(timer);
  }
}

/** The second round makes sure of what the peer had read and not handed on when the first one came. */
async function pingTwice(connection: Connection, signal: AbortSignal): Promise<void> {
  const aborted = new Promise<never>((_resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
  const answered = connection.ping().then(() => connection.ping());
  await Promise.race([answered, aborted]);
}
