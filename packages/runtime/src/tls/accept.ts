import { isIPv6, type Socket } from "node:net";
import { createServer, type Server, type TLSSocket, type TlsOptions } from "node:tls";
import { describeError } from "../errors.ts";
import type { TlsCredentials } from "./credentials.ts";
import type { TlsProblem } from "./errors.ts";
import type { MeshIdentity } from "./identity.ts";
import type { TlsMaterial } from "./material.ts";
import { verifyPeer } from "./verify.ts";

/** A connection whose first bytes have come. */
export type Accepted =
  /** There is no TLS here, and the peer wants none. */
  | { readonly outcome: "plain"; readonly socket: Socket }
  | { readonly outcome: "verified"; readonly socket: TLSSocket; readonly identity: MeshIdentity }
  /**
   * Not to be talked with, but it can be told why, in the protocol of the port: over TLS, or in plain bytes to one who
   * speaks only these. One who speaks TLS to a port without (`PeerIsTls`) knows by any answer that is no TLS record.
   * Nothing it says may be believed; whoever takes it closes it.
   */
  | { readonly outcome: "refused"; readonly socket: Socket; readonly problem: TlsProblem };

export interface AcceptorOptions {
  /** `undefined`: no TLS. */
  readonly credentials: TlsCredentials | undefined;
  /** What is spoken inside of TLS (ALPN). */
  readonly protocol: string;
  /** From the connection to its first bytes, and from there to the end of the TLS handshake. */
  readonly handshakeTimeoutMs: number;
}

export interface AcceptorEvents {
  onAccepted(accepted: Accepted): void;
  /** The connection is gone, and has been told why as far as it could. `address`: the peer's host and port. */
  onFailed(problem: TlsProblem, address: string): void;
}

const tlsHandshakeByte = 0x16;

/** Tells TLS from plain connections and verifies their peers. Takes raw connections; listening is its owner's. */
export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #events: AcceptorEvents;
  readonly #tls: Server | undefined;
  /** By both ends' addresses: a TLS connection does not say which raw one it is made of. */
  readonly #arriving = new Map<string, Socket>();

  constructor(options: AcceptorOptions, events: AcceptorEvents) {
    this.#options = options;
    this.#events = events;
    const { credentials, handshakeTimeoutMs, protocol } = options;
    if (credentials === undefined) return;
    this.#tls = createServer(
      {
        ...contextOptions(credentials.current),
        requestCert: true,
        // Judged by `verifyPeer`, so that the peer can be told.
        rejectUnauthorized: false,
        ALPNProtocols: [protocol],
        handshakeTimeout: handshakeTimeoutMs,
      },
      (socket) => this.#secured(socket, credentials),
    );
    this.#tls.on("tlsClientError", (error: Error & { code?: string }, socket) => {
      this.#events.onFailed(handshakeProblem(error), addressOf(socket));
      // Node leaves it open, and closes the others itself when the peer has been told.
      if (error.code === "ERR_TLS_HANDSHAKE_TIMEOUT") socket.destroy();
    });
    credentials.onChange((material) => this.#tls?.setSecureContext(contextOptions(material)));
  }

  take(socket: Socket): void {
    const { handshakeTimeoutMs } = this.#options;
    const address = addressOf(socket);
    const key = keyOf(socket);
    this.#arriving.set(key, socket);
    const timer = setTimeout(() => {
      const message = `nothing came for ${handshakeTimeoutMs} ms`;
      this.#events.onFailed({ code: "TlsHandshakeFailed", message }, address);
      socket.destroy();
    }, handshakeTimeoutMs);
    // Somebody who comes and goes without a word (a port scan, a TCP probe) is no news.
    const ignored = () => undefined;
    const look = () => {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      over();
      socket.off("close", over);
      socket.unshift(chunk);
      this.#sort(socket, chunk[0] === tlsHandshakeByte);
    };
    const over = () => {
      clearTimeout(timer);
      this.#arriving.delete(key);
      socket.off("readable", look);
      socket.off("end", over);
    };
    socket.on("error", ignored);
    socket.on("close", over);
    socket.on("end", over);
    socket.on("readable", look);
  }

  /** Connections of which it is not clear yet what they are. The others are their takers'. */
  close(): void {
    for (const socket of this.#arriving.values()) socket.destroy();
  }

  #sort(socket: Socket, isTls: boolean): void {
    if (this.#tls === undefined && !isTls) {
      this.#events.onAccepted({ outcome: "plain", socket });
    } else if (this.#tls !== undefined && isTls) {
      this.#shakeHands(this.#tls, socket);
    } else if (isTls) {
      const message =
        "the dialler speaks TLS and the acceptor has none; set the CUTLINE_TLS files on both, or on neither";
      this.#events.onAccepted({ outcome: "refused", socket, problem: { code: "PeerIsTls", message } });
    } else {
      const message =
        "the dialler speaks no TLS and the acceptor wants it; set the CUTLINE_TLS files on both, or on neither";
      this.#events.onAccepted({ outcome: "refused", socket, problem: { code: "PeerIsPlain", message } });
    }
  }

  #shakeHands(tls: Server, socket: Socket): void {
    const key = keyOf(socket);
    this.#arriving.set(key, socket);
    socket.once("close", () => this.#arriving.delete(key));
    tls.emit("connection", socket);
  }

  #secured(socket: TLSSocket, credentials: TlsCredentials): void {
    this.#arriving.delete(keyOf(socket));
    const { trustDomain } = credentials.current.identity;
    const verdict = verifyPeer(socket, trustDomain, Date.now());
    this.#events.onAccepted(
      verdict.outcome === "verified"
        ? { outcome: "verified", socket, identity: verdict.identity }
        : { outcome: "refused", socket, problem: verdict.problem },
    );
  }
}

function keyOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

function contextOptions({ pem }: TlsMaterial): TlsOptions {
  return { cert: pem.cert, key: pem.key, ca: [...pem.ca], minVersion: "TLSv1.3" };
}

function handshakeProblem(error: Error & { code?: string }): TlsProblem {
  const hint =
    error.code === "ERR_SSL_UNSUPPORTED_PROTOCOL"
      ? "the dialler speaks no TLS 1.3"
      : error.code === "ERR_SSL_NO_APPLICATION_PROTOCOL"
        ? "the dialler wants another protocol; does it dial the right port?"
        : "the TLS handshake failed";
  return { code: "TlsHandshakeFailed", message: `${hint}: ${reasonText(error)}` };
}

/** OpenSSL's errors carry a memory address and a source line; what matters is the reason. */
export function reasonText(error: Error & { code?: string; reason?: string }): string {
  return error.reason === undefined ? describeError(error) : `${error.reason} (${error.code})`;
}

/** The peer's host and port, for people. */
export function addressOf({ remoteAddress = "unknown", remotePort }: Socket): string {
  return `${isIPv6(remoteAddress) ? `[${remoteAddress}]` : remoteAddress}:${remotePort ?? 0}`;
}
