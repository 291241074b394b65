import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { AcceptedConnection, Http2Server } from "@cutline/h2";
import { CutlineError, type Logger } from "@cutline/runtime";
import { type ConnectTarget, parseRequestHead } from "./connect-request.ts";
import { sniff } from "./sniff.ts";
import { openTunnel } from "./tunnel.ts";

export interface FrontDoorLimits {
  /** Of an HTTP/1 request's head. Default 8 KiB. */
  readonly requestHeadBytesMax: number;
  /** From accept to a complete head, and from there to the first bytes in the tunnel. Default 10 s. */
  readonly handshakeTimeoutMs: number;
  /** Open at a time; more are closed as they come. Default 10,000. */
  readonly connectionsMax: number;
  /** To the target of a raw tunnel. Default 10 s. */
  readonly tunnelConnectTimeoutMs: number;
}

const defaultFrontDoorLimits: FrontDoorLimits = {
  requestHeadBytesMax: 8 * 1024,
  handshakeTimeoutMs: 10_000,
  connectionsMax: 10_000,
  tunnelConnectTimeoutMs: 10_000,
};

export interface FrontDoorOptions {
  readonly http2Server: Http2Server;
  /** An HTTP/2 connection came in. `target`: of the CONNECT it came through, else `undefined`. */
  onConnection(target: ConnectTarget | undefined, socket: Socket): AcceptedConnection;
  /** Something else than plain HTTP/2 (TLS, say) wants to go through a CONNECT. */
  onTunnel(target: ConnectTarget): TunnelDecision;
  readonly limits?: Partial<FrontDoorLimits>;
  readonly logger: Logger;
}

export type TunnelDecision =
  /** Goes to `host` and `port`; `onClosed` is called once, when it has ended. */
  | { readonly outcome: "open"; readonly host: string; readonly port: number; onClosed?(): void }
  | { readonly outcome: "refused"; readonly reason: string };

class FrontDoorError extends CutlineError<"ListenFailed"> {}

/** Where the application's connections arrive: CONNECT with HTTP/2 or anything else inside, or HTTP/2 directly. */
export class FrontDoor {
  readonly #options: FrontDoorOptions;
  readonly #limits: FrontDoorLimits;
  readonly #servers: Server[] = [];
  /** Sockets of which it is not clear yet what they bring. */
  readonly #arriving = new Set<Socket>();
  readonly #tunnels = new Set<Socket>();

  constructor(options: FrontDoorOptions) {
    this.#options = options;
    this.#limits = { ...defaultFrontDoorLimits, ...options.limits };
  }

  /**
   * Opens each of the hosts (one, or several with commas between them) at one port, and resolves with it: the port that
   * the system chose when 0 was asked for. Of several, an address that this machine does not have is left out.
   */
  async listen(hosts: string, port: number): Promise<number> {
    let opened = port;
    let missing: unknown;
    for (const host of hosts.split(",").map((one) => one.trim())) {
      try {
        opened = await this.#open(host, opened);
      } catch (error) {
        if (!hosts.includes(",") || !isForeign(error)) throw error;
        missing = error;
        this.#options.logger.info({ host, port }, "not listening: this machine has no such address");
      }
    }
    if (this.#servers.length === 0) throw missing;
    return opened;
  }

  /** Stops accepting, lets tunnels finish, and cuts them after `graceMs`. HTTP/2 connections are the HTTP/2 server's to close. */
  async close(graceMs: number): Promise<void> {
    for (const server of this.#servers) server.close();
    for (const socket of this.#arriving) socket.destroy();
    const timer = setTimeout(() => {
      for (const socket of this.#tunnels) socket.destroy();
    }, graceMs);
    await Promise.all([...this.#tunnels].map((socket) => new Promise((resolve) => socket.once("close", resolve))));
    clearTimeout(timer);
  }

  async #open(host: string, port: number): Promise<number> {
    const { logger } = this.#options;
    const { connectionsMax } = this.#limits;
    // Half-open, because a tunnel passes the end of one direction on and keeps the other.
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => {
      this.#accept(socket).catch((error) => {
        logger.error({ error }, "connection closed: it could not be taken in");
        socket.destroy();
      });
    });
    server.maxConnections = connectionsMax;
    server.on("drop", () => logger.warn({ connectionsMax }, "connection dropped: too many are open"));
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error) => {
        const message = `cannot listen on ${host}:${port}; is another agent or program using it?`;
        reject(new FrontDoorError("ListenFailed", message, { cause: error }));
      };
      server.once("error", failed);
      server.listen(port, host, () => {
        server.removeListener("error", failed);
        server.on("error", (error) => logger.error({ error }, "listener failed"));
        resolve();
      });
    });
    this.#servers.push(server);
    return (server.address() as AddressInfo).port;
  }

  async #accept(socket: Socket): Promise<void> {
    this.#arriving.add(socket);
    socket.once("close", () => {
      this.#arriving.delete(socket);
      this.#tunnels.delete(socket);
    });
    // 'close' follows; what was going on with the socket ends there.
    socket.on("error", (error) => this.#options.logger.debug({ error }, "connection broke"));
    const { requestHeadBytesMax, handshakeTimeoutMs } = this.#limits;
    const seen = await sniff(socket, { headBytesMax: requestHeadBytesMax, timeoutMs: handshakeTimeoutMs });
    switch (seen.outcome) {
      case "http2":
        this.#serve(socket, undefined);
        break;
      case "head":
        await this.#answerHead(socket, seen.head);
        break;
      case "headTooLong":
        refuse(socket, "431 Request Header Fields Too Large", `a head has at most ${requestHeadBytesMax} bytes here`);
        break;
      case "timeout":
        refuse(socket, "408 Request Timeout", `no complete head within ${handshakeTimeoutMs} ms`);
        break;
      case "other":
        refuse(socket, "400 Bad Request", "only CONNECT and HTTP/2 without TLS are served here");
        break;
      case "tls":
      case "closed":
        socket.destroy();
    }
  }

  async #answerHead(socket: Socket, head: string): Promise<void> {
    const request = parseRequestHead(head);
    if (request.outcome === "refused") {
      const status = request.status === 405 ? "405 Method Not Allowed\r\nAllow: CONNECT" : "400 Bad Request";
      refuse(socket, status, request.reason);
      return;
    }
    const { target } = request;
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    const seen = await sniff(socket, { headBytesMax: 0, timeoutMs: this.#limits.handshakeTimeoutMs });
    if (seen.outcome === "http2") this.#serve(socket, target);
    else if (seen.outcome === "closed" || seen.outcome === "timeout") socket.destroy();
    else this.#tunnel(socket, target);
  }

  #serve(socket: Socket, target: ConnectTarget | undefined): void {
    this.#arriving.delete(socket);
    // The HTTP/2 layer closes when the peer does.
    socket.allowHalfOpen = false;
    this.#options.http2Server.accept(socket, this.#options.onConnection(target, socket));
  }

  #tunnel(socket: Socket, target: ConnectTarget): void {
    const { logger } = this.#options;
    const decision = this.#options.onTunnel(target);
    if (decision.outcome === "refused") {
      logger.info({ target: target.authority, reason: decision.reason }, "tunnel refused");
      socket.destroy();
      return;
    }
    this.#arriving.delete(socket);
    this.#tunnels.add(socket);
    openTunnel({
      near: socket,
      host: decision.host,
      port: decision.port,
      connectTimeoutMs: this.#limits.tunnelConnectTimeoutMs,
      onClosed: (error) => {
        if (error !== undefined) logger.info({ target: target.authority, error }, "tunnel broke");
        decision.onClosed?.();
      },
    });
  }
}

function isForeign(error: unknown): boolean {
  const cause = error instanceof FrontDoorError ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT";
}

export function createFrontDoor(options: FrontDoorOptions): FrontDoor {
  return new FrontDoor(options);
}

/** How long a peer may take to read a refusal. */
const refusalTimeoutMs = 1_000;

function refuse(socket: Socket, status: string, reason: string): void {
  const body = `${reason}\n`;
  socket.setTimeout(refusalTimeoutMs, () => socket.destroy());
  // Unread bytes would turn the close into a reset that overtakes the answer.
  socket.resume();
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
