import type { Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { reasonText } from "./accept.ts";
import { TlsError, type TlsProblem } from "./errors.ts";
import type { MeshName } from "./identity.ts";
import type { TlsMaterial } from "./material.ts";
import { checkName, verifyPeer } from "./verify.ts";

export interface SecureOptions {
  readonly credentials: {
    /** What is shown (nothing, when the context has no certificate), and who is believed. */
    readonly current: Pick<TlsMaterial, "context"> & {
      readonly identity: Pick<TlsMaterial["identity"], "trustDomain">;
    };
  };
  /** Who must be at the other end. */
  readonly expected: MeshName;
  /** What is spoken inside of TLS (ALPN). */
  readonly protocol: string;
  readonly timeoutMs: number;
}

export type Secured =
  | { readonly outcome: "verified"; readonly socket: TLSSocket }
  /** It can be told why, and must be closed then. */
  | { readonly outcome: "refused"; readonly socket: TLSSocket; readonly problem: TlsProblem };

/** Sends no session, so that every connection is verified anew. The connection is closed when it rejects, with a `TlsError`. */
export function secure(raw: Socket, { credentials, expected, protocol, timeoutMs }: SecureOptions): Promise<Secured> {
  return new Promise((resolve, reject) => {
    const { context, identity } = credentials.current;
    const socket = connect({
      socket: raw,
      secureContext: context,
      // Judged below, so that the peer can be told. Its name is a URI, which node does not compare.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ALPNProtocols: [protocol],
      minVersion: "TLSv1.3",
    });
    const timer = setTimeout(() => {
      socket.destroy(new TlsError("TlsHandshakeFailed", `the TLS handshake took longer than ${timeoutMs} ms`));
    }, timeoutMs);
    const failed = (error: Error) => {
      clearTimeout(timer);
      socket.off("close", closed);
      socket.destroy();
      raw.destroy();
      reject(error instanceof TlsError ? error : handshakeError(error));
    };
    const closed = () => failed(new Error("the connection was closed during the TLS handshake"));
    socket.once("error", failed);
    // For good: what follows the handshake in the same bytes can fail before whoever gets the connection listens.
    socket.on("error", () => undefined);
    socket.once("close", closed);
    socket.once("secureConnect", () => {
      clearTimeout(timer);
      socket.off("error", failed);
      socket.off("close", closed);
      const verdict = verifyPeer(socket, identity.trustDomain, Date.now());
      const problem = verdict.outcome === "verified" ? checkName(verdict.identity, expected) : verdict.problem;
      resolve(problem === undefined ? { outcome: "verified", socket } : { outcome: "refused", socket, problem });
    });
  });
}

/** What the peer does to one who speaks TLS, when it speaks none. */
const plainCodes: ReadonlySet<string> = new Set(["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG"]);

function handshakeError(error: Error & { code?: string }): TlsError {
  if (plainCodes.has(error.code ?? "")) {
    const message =
      "the acceptor speaks no TLS and the dialler wants it; set the CUTLINE_TLS files on both, or on neither";
    return new TlsError("PeerIsPlain", message, { cause: error });
  }
  return new TlsError("TlsHandshakeFailed", `the TLS handshake failed: ${reasonText(error)}`, { cause: error });
}
