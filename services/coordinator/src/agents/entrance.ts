import { X509Certificate } from "node:crypto";
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from "node:net";
import { type ControlServer, ControlService } from "@cutline/proto/control";
import {
  type Accepted,
  Acceptor,
  addressOf,
  CutlineError,
  checkName,
  describeName,
  identityOf,
  type RefusalLog,
  readRefusal,
  type TlsCredentials,
  type TlsProblem,
} from "@cutline/runtime";
import { Server, ServerCredentials, type ServerUnaryCall, status } from "@grpc/grpc-js";

export interface EntranceOptions {
  /** `undefined`: agents come by plain TCP. */
  readonly credentials: TlsCredentials | undefined;
  readonly refusals: RefusalLog;
  /** From the connection to the end of the TLS handshake. */
  readonly handshakeTimeoutMs: number;
  /** Connections at a time; more are closed as they come. */
  readonly connectionsMax: number;
}

/** As much of a call as says who makes it. */
type Caller = Pick<ServerUnaryCall<unknown, unknown>, "getPeer" | "getAuthContext">;

interface CallRefusal {
  readonly code: status;
  readonly details: string;
}

/** What is spoken inside of TLS (ALPN). */
const controlProtocol = "h2";
/** To one who speaks TLS to a port without. */
const plainAnswer = "no TLS here\r\n";
/** Calls of one who is refused, at a time. */
const refusedStreamsMax = 8;
/** How long one who is refused may take to hear why. */
const farewellMs = 1_000;

/**
 * The port of the agents. It listens itself, and hands gRPC connections whose peer is verified: gRPC's own TLS would
 * close the others without a word. Those are handed to a second server, which tells them why in answer to any call.
 */
export class Entrance {
  readonly #options: EntranceOptions;
  readonly #listener: NetServer;
  readonly #acceptor: Acceptor;
  readonly #refusing: Server;
  readonly #inject: (socket: Socket) => void;
  readonly #injectRefused: (socket: Socket) => void;
  readonly #sockets = new Set<Socket>();
  /** By the peer's host and port. Only what it is told: nothing depends on it. */
  readonly #problems = new Map<string, TlsProblem>();

  /** `server` gets the connections; it must not be bound. */
  constructor(server: Server, options: EntranceOptions) {
    this.#options = options;
    this.#refusing = this.#createRefusing();
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    const refusingInjector = this.#refusing.createConnectionInjector(ServerCredentials.createInsecure());
    this.#inject = (socket) => injector.injectConnection(socket);
    this.#injectRefused = (socket) => refusingInjector.injectConnection(socket);
    const { credentials, handshakeTimeoutMs, refusals, connectionsMax } = options;
    this.#acceptor = new Acceptor(
      { credentials, protocol: controlProtocol, handshakeTimeoutMs },
      {
        onAccepted: (accepted) => this.#accepted(accepted),
        onFailed: (problem, address) =>
          refusals.note({ direction: "incoming", by: "us", peer: "unknown", address, ...problem }),
      },
    );
    this.#listener = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      this.#acceptor.take(socket);
    });
    this.#listener.maxConnections = connectionsMax;
  }

  /** Resolves with the port. Rejects with `BindFailed`. */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#listener.once("error", (error) => {
        reject(new CutlineError("BindFailed", `agents cannot be served on ${host}:${port}`, { cause: error }));
      });
      this.#listener.listen(port, host, resolve);
    });
    return (this.#listener.address() as AddressInfo).port;
  }

  /** Takes nobody in any more. */
  stopListening(): void {
    this.#acceptor.close();
    this.#listener.close();
    this.#refusing.forceShutdown();
  }

  /** Closes what the server's own shutdown has left open. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Whether the caller may speak for a process. `undefined`: it may; without TLS everybody may. */
  check(caller: Caller, processId: string): CallRefusal | undefined {
    if (this.#options.credentials === undefined) return undefined;
    const raw = caller.getAuthContext().sslPeerCertificate?.raw;
    const named = raw === undefined ? undefined : identityOf(new X509Certificate(raw));
    if (named?.outcome !== "ok") {
      return { code: status.UNAUTHENTICATED, details: "the connection has no verified certificate" };
    }
    const problem = checkName(named.identity, { kind: "process", processId });
    if (problem === undefined) return undefined;
    const peer = describeName(named.identity);
    this.#options.refusals.note({ direction: "incoming", by: "us", peer, address: caller.getPeer(), ...problem });
    return { code: status.PERMISSION_DENIED, details: `${problem.code}: ${problem.message}` };
  }

  #accepted(accepted: Accepted): void {
    const { socket } = accepted;
    switch (accepted.outcome) {
      case "plain":
        this.#inject(socket);
        return;
      case "verified":
        this.#greet(socket, describeName(accepted.identity));
        return;
      case "refused":
        this.#refuse(socket, accepted.problem);
    }
  }

  /** An agent that does not accept this coordinator's certificate says so instead of HTTP/2. */
  #greet(socket: Socket, peer: string): void {
    const { handshakeTimeoutMs, refusals } = this.#options;
    readRefusal(socket, handshakeTimeoutMs, (refusal) => {
      if (refusal === undefined) this.#inject(socket);
      else refusals.note({ direction: "incoming", by: "peer", peer, address: addressOf(socket), ...refusal });
    });
  }

  #refuse(socket: Socket, problem: TlsProblem): void {
    const address = addressOf(socket);
    this.#options.refusals.note({ direction: "incoming", by: "us", peer: "unknown", address, ...problem });
    const key = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#problems.set(key, problem);
    socket.once("close", () => this.#problems.delete(key));
    socket.on("error", () => undefined); // It is told why; how it takes it is its own affair.
    setTimeout(() => socket.destroy(), farewellMs).unref();
    if (problem.code === "PeerIsTls") socket.resume().end(plainAnswer);
    else this.#injectRefused(socket);
  }

  #createRefusing(): Server {
    const server = new Server({ "grpc.max_concurrent_streams": refusedStreamsMax });
    const refusalOf = (caller: Caller): CallRefusal => {
      const problem = this.#problems.get(caller.getPeer());
      const details = problem === undefined ? "no verified certificate" : `${problem.code}: ${problem.message}`;
      return { code: status.UNAUTHENTICATED, details };
    };
    const handlers: ControlServer = {
      attach: (call) => call.emit("error", refusalOf(call)),
      upload: (call, callback) => callback(refusalOf(call)),
    };
    server.addService(ControlService, handlers);
    return server;
  }
}
