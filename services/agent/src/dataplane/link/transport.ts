import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { LinkRefusal } from "@cutline/proto/link";
import {
  type Accepted,
  Acceptor,
  addressOf,
  checkName,
  connectShared,
  describeError,
  describeName,
  type Logger,
  RefusalLog,
  secure,
  type TlsCredentials,
  TlsError,
  type TlsProblem,
} from "@cutline/runtime";
import { formatAddress } from "./address.ts";
import { encodeFrameHeader, FrameType } from "./codec.ts";

export interface LinkSecurity {
  /** `undefined`: links are plain TCP. */
  readonly credentials: TlsCredentials | undefined;
  readonly refusals: RefusalLog;
}

export function plainLinks(logger: Logger, now: () => number): LinkSecurity {
  return { credentials: undefined, refusals: new RefusalLog({ logger, now }) };
}

interface LinkTransportOptions extends LinkSecurity {
  /** Of the TLS handshake; that of the link has its own. */
  readonly handshakeTimeoutMs: number;
  /** Connections from other agents at a time. */
  readonly connectionsMax: number;
}

/** A connection that another agent has made. */
export interface IncomingConnection {
  readonly socket: Socket;
  /** Whether the peer may call itself so. `undefined`: it may. */
  readonly check: (processId: string) => LinkRefusal | undefined;
  /** The peer does not accept this process. */
  readonly onRefused: (refusal: LinkRefusal) => void;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

export type Dialled =
  /** With TLS, the process is who it should be. Without, it is not even connected yet. */
  | { readonly outcome: "dialled"; readonly socket: Socket }
  /** It may be there later. */
  | { readonly outcome: "failed"; readonly message: string }
  /** One side does not accept the other, and somebody must set something. It has been logged. */
  | { readonly outcome: "refused"; readonly message: string };

/** What is spoken inside of TLS (ALPN). */
const linkProtocol = "cutline-link";

/** The connections under links: plain TCP, or mutual TLS with a process's identity at either end. */
export class LinkTransport {
  readonly #options: LinkTransportOptions;
  readonly #server: Server;
  readonly #acceptor: Acceptor;
  readonly #dialling = new Set<Socket>();
  /** They have been told no. */
  readonly #leaving = new Set<Socket>();
  #closed = false;

  constructor(options: LinkTransportOptions, onConnection: (connection: IncomingConnection) => void) {
    this.#options = options;
    const { credentials, handshakeTimeoutMs, connectionsMax, refusals } = options;
    this.#acceptor = new Acceptor(
      { credentials, protocol: linkProtocol, handshakeTimeoutMs },
      {
        onAccepted: (accepted) => this.#accepted(accepted, onConnection),
        onFailed: (problem, address) =>
          refusals.note({ direction: "incoming", by: "us", peer: "unknown", address, ...problem }),
      },
    );
    this.#server = createServer({ noDelay: true }, (socket) => this.#acceptor.take(socket));
    this.#server.maxConnections = connectionsMax;
  }

  async listen(host: string, port: number): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    return this.#server.address() as AddressInfo;
  }

  /** Never rejects. */
  async dial(address: Address, processId: string): Promise<Dialled> {
    const { credentials } = this.#options;
    if (credentials === undefined) {
      return { outcome: "dialled", socket: connectShared({ ...address, noDelay: true }) };
    }
    const raw = connect({ ...address, noDelay: true });
    this.#dialling.add(raw);
    try {
      await connected(raw, this.#options.handshakeTimeoutMs);
      return await this.#secure(raw, address, processId, credentials);
    } catch (error) {
      raw.destroy();
      if (!(error instanceof TlsError)) return { outcome: "failed", message: describeError(error) };
      // A handshake that breaks off may have met an agent on its way up or down; one without TLS will not mend itself.
      if (error.code !== "PeerIsPlain") return { outcome: "failed", message: error.message };
      return this.#refused(processId, address, error);
    } finally {
      this.#dialling.delete(raw);
    }
  }

  /** Takes no more connections; those that are links' are theirs to close. Resolves when all are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const socket of [...this.#dialling, ...this.#leaving]) socket.destroy();
    this.#acceptor.close();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #secure(raw: Socket, address: Address, processId: string, credentials: TlsCredentials): Promise<Dialled> {
    const { handshakeTimeoutMs } = this.#options;
    const expected = { kind: "process", processId } as const;
    const secured = await secure(raw, { credentials, expected, protocol: linkProtocol, timeoutMs: handshakeTimeoutMs });
    if (this.#closed) {
      secured.socket.destroy();
      return { outcome: "failed", message: "the agent stops" };
    }
    if (secured.outcome === "verified") return { outcome: "dialled", socket: secured.socket };
    this.#tell(secured.socket, secured.problem);
    return this.#refused(processId, address, secured.problem);
  }

  #refused(processId: string, { host, port }: Address, problem: TlsProblem): Dialled {
    const { code, message } = problem;
    const address = formatAddress(host, port);
    this.#options.refusals.note({ direction: "outgoing", by: "us", peer: processId, address, code, message });
    return { outcome: "refused", message: `process ${processId} at ${address} was refused: ${code}, ${message}` };
  }

  /** Says why, reads no more, and closes. */
  #tell(socket: Socket, problem: TlsProblem): void {
    const body = LinkRefusal.encode(toRefusal(problem)).finish();
    this.#leaving.add(socket);
    socket.once("close", () => this.#leaving.delete(socket));
    socket.on("error", () => undefined); // It was told; how it takes it is its own affair.
    socket.resume();
    socket.write(encodeFrameHeader(FrameType.refusal, 0, 0, 0, body.length));
    socket.end(body);
    setTimeout(() => socket.destroy(), this.#options.handshakeTimeoutMs).unref();
  }

  #accepted(accepted: Accepted, onConnection: (connection: IncomingConnection) => void): void {
    const { refusals } = this.#options;
    const { socket } = accepted;
    const address = addressOf(socket);
    const note = (peer: string, problem: TlsProblem) =>
      refusals.note({ direction: "incoming", by: "us", peer, address, ...problem });
    const noteByPeer = (peer: string, { code, message }: LinkRefusal) =>
      refusals.note({ direction: "incoming", by: "peer", peer, address, code, message });
    switch (accepted.outcome) {
      case "plain":
        onConnection({ socket, check: () => undefined, onRefused: (refusal) => noteByPeer("unknown", refusal) });
        return;
      case "refused":
        note("unknown", accepted.problem);
        this.#tell(socket, accepted.problem);
        return;
      case "verified": {
        const { identity } = accepted;
        const check = (processId: string) => {
          const problem = checkName(identity, { kind: "process", processId });
          if (problem === undefined) return undefined;
          note(describeName(identity), problem);
          return toRefusal(problem);
        };
        onConnection({ socket, check, onRefused: (refusal) => noteByPeer(describeName(identity), refusal) });
      }
    }
  }
}

/** Whether a refusal is about TLS, and so may mend itself when files are replaced. */
export function isTlsRefusal(code: string): boolean {
  return code.startsWith("CERTIFICATE_") || code === "PEER_IS_PLAIN";
}

/** The codes of the link protocol are in capitals. */
function toRefusal({ code, message }: TlsProblem): LinkRefusal {
  return { code: code.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase(), message };
}

function connected(socket: Socket, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${timeoutMs} ms`)), timeoutMs);
    const over = () => clearTimeout(timer);
    socket.once("close", () => {
      over();
      reject(new Error("the connection was closed as it was made"));
    });
    socket.once("error", (error) => {
      over();
      reject(error);
    });
    socket.once("connect", () => {
      over();
      resolve();
    });
  });
}
