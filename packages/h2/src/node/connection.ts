import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { describeError } from "@cutline/runtime";
import { BarrierError, type Http2Limits } from "../port.ts";
import type { CallRoute, ClientCall } from "./client-call.ts";
import { sessionOptions } from "./session.ts";

export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly limits: Http2Limits;
  readonly connectTimeoutMs: number;
}

export interface ConnectionEvents {
  /** The peer's settings are known: it can be used, up to its limit. */
  onReady(connection: ClientConnection): void;
  /** There may be room now, or no more room ever (GOAWAY). */
  onRoomChanged(connection: ClientConnection): void;
  /** It could not be had. */
  onFailed(connection: ClientConnection, reason: string): void;
  /** `reason`: why it broke; `undefined` after an orderly end. */
  onClosed(connection: ClientConnection, reason: string | undefined): void;
}

/**
 * One connection with prior knowledge (h2c). `opening` until the peer's SETTINGS are there, because its limit of
 * concurrent streams is not known before; `draining` from GOAWAY on.
 */
export class ClientConnection {
  phase: "opening" | "open" | "draining" | "closed" = "opening";
  readonly #session: ClientHttp2Session;
  readonly #authority: string;
  readonly #events: ConnectionEvents;
  readonly #timer: NodeJS.Timeout;
  #streams = 0;
  #reason: string | undefined;

  constructor(options: ConnectionOptions, events: ConnectionEvents) {
    const { host, port, limits, connectTimeoutMs } = options;
    this.#events = events;
    this.#authority = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    const shared = sessionOptions(limits);
    const session = connectHttp2(`http://${this.#authority}`, {
      ...shared,
      settings: { ...shared.settings, enablePush: false },
      createConnection: () => connectTcp({ host, port, noDelay: true }),
    });
    this.#session = session;
    this.#timer = setTimeout(() => {
      this.#reason = `${this.#authority} did not speak HTTP/2 within ${connectTimeoutMs} ms`;
      session.destroy();
    }, connectTimeoutMs);
    session.once("connect", () => {
      if (!session.destroyed) session.setLocalWindowSize(limits.connectionWindowBytes);
    });
    session.on("remoteSettings", () => this.#settings());
    session.on("goaway", () => this.#drain());
    session.on("error", (error) => {
      this.#reason ??= describeError(error);
    });
    session.on("close", () => this.#closed());
  }

  get hasRoom(): boolean {
    if (this.phase !== "open") return false;
    return this.#streams < (this.#session.remoteSettings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY);
  }

  open(call: ClientCall): void {
    this.#streams += 1;
    let isOpen = true;
    call.start(this.#route, () => {
      if (!isOpen) return;
      isOpen = false;
      this.#streams -= 1;
      this.#events.onRoomChanged(this);
    });
  }

  /**
   * Two round trips: PING overtakes whatever is queued when it is sent, the second one does not overtake what was
   * queued before the first.
   */
  async ping(): Promise<void> {
    for (let round = 0; round < 2 && this.phase !== "closed"; round += 1) await this.#pingOnce();
    // Frames that came before the answer are handed over in the ticks around it.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** GOAWAY; `onClosed` comes when the last stream has ended. */
  close(): void {
    if (this.phase === "opening") this.#session.destroy();
    else this.#session.close();
    if (this.phase !== "closed") this.phase = "draining";
  }

  destroy(): void {
    this.#session.destroy(undefined, constants.NGHTTP2_CANCEL);
  }

  get #route(): CallRoute {
    const session = this.#session;
    return {
      authority: this.#authority,
      // Waiting for trailers, of which there are none, keeps node:http2 from ending a request that is reset: `close`
      // ends the writable side first, and a server would take the cut request for a whole one.
      request: (headers, endStream) => session.request(headers, { endStream, waitForTrailers: !endStream }),
      isLost: () => session.destroyed,
    };
  }

  #pingOnce(): Promise<void> {
    return new Promise((resolve, reject) => {
      // A connection that has gone has nothing left to be processed.
      const done = (error: Error | null) => {
        if (error === null || this.#session.destroyed) resolve();
        else reject(new BarrierError("BarrierTimeout", `${this.#authority} cannot be pinged`, { cause: error }));
      };
      if (this.#session.destroyed) resolve();
      else if (!this.#session.ping(done)) done(new Error("too many pings are under way"));
    });
  }

  #settings(): void {
    if (this.phase === "opening") {
      clearTimeout(this.#timer);
      this.phase = "open";
      this.#events.onReady(this);
    } else {
      this.#events.onRoomChanged(this);
    }
  }

  #drain(): void {
    if (this.phase === "closed") return;
    this.phase = "draining";
    this.#events.onRoomChanged(this);
  }

  #closed(): void {
    clearTimeout(this.#timer);
    const before = this.phase;
    this.phase = "closed";
    if (before !== "opening") this.#events.onClosed(this, this.#reason);
    else this.#events.onFailed(this, this.#reason ?? `${this.#authority} closed the connection before its SETTINGS`);
  }
}
