import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { addressOf, CutlineError, type Logger, shareConnections, type TlsCredentials } from "@cutline/runtime";
import type { Issuance, IssuanceRefusalCode } from "./issuance.ts";
import type { IdentityLimits } from "./limits.ts";

export interface IdentityServerOptions {
  readonly issuance: Pick<Issuance, "issue">;
  /** The coordinator's certificate of the mesh: agents believe no other. */
  readonly credentials: TlsCredentials;
  readonly limits: IdentityLimits;
  readonly logger: Logger;
}

interface Problem {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs?: number;
}

const path = "/v1/certificates";
const headerBytesMax = 8 * 1024;
const keepAliveMs = 5_000;
const tokenCharsMax = 16 * 1024;
/** A token stands in a header when it is reviewed elsewhere, so it is one word of visible characters. */
const tokenForm = /^[!-~]+$/;

const statusOf: Readonly<Record<IssuanceRefusalCode, number>> = {
  TokenRefused: 401,
  TokenNotBound: 403,
  NamespaceNotServed: 403,
  RequestInvalid: 400,
  TooManyCertificates: 429,
  TooManyRequests: 503,
  KubernetesUnavailable: 503,
  AuthorityUnavailable: 503,
};

/** Where agents ask for their certificates: HTTPS, and one call. */
export class IdentityServer {
  readonly #options: IdentityServerOptions;
  readonly #server: Server;

  constructor(options: IdentityServerOptions) {
    this.#options = options;
    const { credentials, limits, logger } = options;
    const context = () => {
      const { cert, key } = credentials.current.pem;
      return { cert, key, minVersion: "TLSv1.3" as const };
    };
    this.#server = createServer(
      {
        ...context(),
        requestTimeout: limits.requestTimeoutMs,
        headersTimeout: limits.requestTimeoutMs,
        handshakeTimeout: limits.requestTimeoutMs,
        // Node looks every 30 s otherwise, whatever the time-outs are.
        connectionsCheckingInterval: Math.ceil(limits.requestTimeoutMs / 2),
        keepAliveTimeout: keepAliveMs,
        maxHeaderSize: headerBytesMax,
      },
      (request, response) => {
        this.#answer(request, response).catch((error) => {
          logger.error({ error }, "a request for a certificate failed");
          response.destroy();
        });
      },
    );
    shareConnections(this.#server, limits);
    this.#server.on("tlsClientError", (error, socket) => {
      logger.debug({ error, address: addressOf(socket) }, "no TLS with one who asks for a certificate");
      socket.destroy();
    });
    credentials.onChange(() => this.#server.setSecureContext(context()));
  }

  /** Resolves with the port. Rejects with `BindFailed`. */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (error) => {
        reject(new CutlineError("BindFailed", `certificates cannot be issued on ${host}:${port}`, { cause: error }));
      });
      this.#server.listen(port, host, resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url !== path) {
      return sendProblem(response, { status: 404, code: "NotFound", message: `there is only ${path}` });
    }
    if (request.method !== "POST") {
      response.setHeader("allow", "POST");
      return sendProblem(response, { status: 405, code: "MethodNotAllowed", message: "use POST" });
    }
    const { limits, issuance } = this.#options;
    const text = await readBody(request, limits.requestBytesMax);
    if (text === undefined) {
      response.setHeader("connection", "close");
      const message = `the body has more than ${limits.requestBytesMax} bytes`;
      return sendProblem(response, { status: 413, code: "BodyTooLarge", message });
    }
    const asked = parseBody(text);
    if (asked === undefined) {
      const message = "the body is no JSON object of token and csr, and of nothing else";
      return sendProblem(response, { status: 400, code: "RequestInvalid", message });
    }
    const outcome = await issuance.issue({ ...asked, address: addressOf(request.socket) });
    if (outcome.outcome === "refused") return sendProblem(response, { ...outcome, status: statusOf[outcome.code] });
    const { certificate, authorities } = outcome;
    send(response, 200, "application/json; charset=utf-8", { certificate, authorities });
  }
}

/** `undefined`: it is longer than `bytesMax`. */
async function readBody(request: IncomingMessage, bytesMax: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += chunk.length;
    if (size > bytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseBody(text: string): { readonly token: string; readonly csr: string } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What the parser says could quote the token.
    return undefined;
  }
  if (typeof value !== "object" || value === null || Object.keys(value).length !== 2) return undefined;
  const { token, csr } = value as Record<string, unknown>;
  if (typeof token !== "string" || typeof csr !== "string") return undefined;
  return token.length <= tokenCharsMax && tokenForm.test(token) ? { token, csr } : undefined;
}

function sendProblem(response: ServerResponse, { status, code, message, retryAfterMs }: Problem): void {
  if (retryAfterMs !== undefined) response.setHeader("retry-after", Math.max(1, Math.ceil(retryAfterMs / 1_000)));
  if (status === 401) response.setHeader("www-authenticate", 'Bearer realm="cutline"');
  const title = STATUS_CODES[status] ?? "Error";
  const body = { type: `urn:cutline:problem:${code}`, title, status, detail: message, code };
  send(response, status, "application/problem+json; charset=utf-8", body);
}

function send(response: ServerResponse, status: number, contentType: string, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
  });
  response.end(text);
}
