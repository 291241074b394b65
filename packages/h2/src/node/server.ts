import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type AcceptedConnection, defaultHttp2Limits, type Http2Limits, type Http2Server } from "../port.ts";
import { ServerCall } from "./server-call.ts";
import { sessionOptions } from "./session.ts";

/**
 * HTTP/2 by node:http2. Its own defences stay at their defaults: 1,000 invalid frames, 100 rejected streams and
 * 1,000 + 33/s resets on one connection, then the connection is cut.
 */
export function createNodeHttp2Server(limits: Partial<Http2Limits> = {}): Http2Server {
  return new NodeHttp2Server({ ...defaultHttp2Limits, ...limits });
}

class NodeHttp2Server implements Http2Server {
  readonly #limits: Http2Limits;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #streams = new Set<ServerHttp2Stream>();
  #closing = false;

  constructor(limits: Http2Limits) {
    this.#limits = limits;
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  accept(socket: Socket, connection: AcceptedConnection): void {
    if (this.#closing || socket.destroyed) {
      socket.destroy();
      connection.onClose?.();
      return;
    }
    const { concurrentStreamsMax, connectionWindowBytes, handshakeTimeoutMs } = this.#limits;
    const options = sessionOptions(this.#limits);
    const session = performServerHandshake(socket, {
      ...options,
      settings: { ...options.settings, maxConcurrentStreams: concurrentStreamsMax },
    });
    this.#sessions.add(session);
    session.setLocalWindowSize(connectionWindowBytes);
    const timer = setTimeout(() => session.destroy(), handshakeTimeoutMs);
    session.once("remoteSettings", () => clearTimeout(timer));
    // What it says reaches each stream as its reset, and the connection's owner by 'close'.
    session.on("error", () => undefined);
    session.on("close", () => {
      clearTimeout(timer);
      this.#sessions.delete(session);
      connection.onClose?.();
    });
    session.on("stream", (stream, _headers, flags, raw) => {
      const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      this.#serve(session, stream, raw, endStream, connection);
    });
  }

  #serve(
    session: ServerHttp2Session,
    stream: ServerHttp2Stream,
    headers: string[],
    endStream: boolean,
    connection: AcceptedConnection,
  ): void {
    const call = new ServerCall(session, stream, endStream);
    // Reset before anybody heard of it.
    if (stream.destroyed || stream.closed) return;
    this.#streams.add(stream);
    stream.once("close", () => this.#streams.delete(stream));
    call.listen(connection.onCall(call, headers, endStream));
  }

  async barrier(signal: AbortSignal): Promise<void> {
    // A ping overtakes data that waits for the flow control of its stream.
    const streams = [...this.#streams];
    while (!streams.every(isFlushed)) await delay(flushPollMs, undefined, { signal });
    await Promise.all([...this.#sessions].map((session) => pingTwice(session, signal)));
    // Frames that came before the answer are handed over in the ticks around it.
    await new Promise((resolve) => setImmediate(resolve));
  }

  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    const closed = [...this.#sessions].map(
      (session) =>
        new Promise<void>((resolve) => {
          session.once("close", resolve);
          session.close();
        }),
    );
    const timer = setTimeout(() => {
      for (const session of this.#sessions) session.destroy(undefined, constants.NGHTTP2_CANCEL);
    }, graceMs);
    await Promise.all(closed);
    clearTimeout(timer);
  }
}

const flushPollMs = 1;

function isFlushed(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || (stream.writableLength === 0 && (!stream.writableEnded || stream.writableFinished));
}

/** The second round makes sure of what the peer had read and not handed on when the first one came. */
async function pingTwice(session: ServerHttp2Session, signal: AbortSignal): Promise<void> {
  for (let round = 0; round < 2; round += 1) {
    await new Promise<void>((resolve, reject) => {
      const aborted = () => reject(signal.reason);
      const done = () => {
        signal.removeEventListener("abort", aborted);
        // A connection that has gone has nothing left to be processed.
        resolve();
      };
      signal.addEventListener("abort", aborted, { once: true });
      if (signal.aborted) aborted();
      else if (session.destroyed || !session.ping(done)) done();
    });
  }
}
