import { X509Certificate } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { createSecureContext, type TLSSocket } from "node:tls";
import { CutlineError, describeError, parseAuthorityUri, secure, splitPem, uriNamesOf } from "@cutline/runtime";

export type IdentityErrorCode =
  /** Nobody issues: not reached, not believed, or busy. It is tried again. */
  | "IdentityUnavailable"
  /** The coordinator does not give this pod a certificate. */
  | "IdentityRefused"
  /** What came, or what is set, cannot be used. */
  | "IdentityInvalid";

export class IdentityError extends CutlineError<IdentityErrorCode> {
  /** When to come back, where the coordinator says so. */
  readonly retryAfterMs: number | undefined;

  constructor(code: IdentityErrorCode, message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(code, message, "cause" in options ? { cause: options.cause } : {});
    this.retryAfterMs = options.retryAfterMs;
  }
}

export interface IdentityRequest {
  /** `https://host:port`; its path is not used. */
  readonly url: URL;
  readonly token: string;
  /** PEM, PKCS#10. */
  readonly csr: string;
  /** Whom to believe, as PEM. */
  readonly authorities: string;
  /** Of the handshake, and of the whole. */
  readonly timeoutMs: number;
}

/** PEM. */
export interface IdentityAnswer {
  readonly certificate: string;
  readonly authorities: string;
}

const answerBytesMax = 1024 * 1024;
const portDefault = 443;
const coordinator = { kind: "coordinator" } as const;
const path = "/v1/certificates";

/**
 * Asks for a certificate. The token goes only to one who proves to be the coordinator of this mesh: its name is a URI in
 * its certificate, so the host that is dialled does not matter. Rejects with an `IdentityError`.
 */
export async function requestCertificate(request: IdentityRequest): Promise<IdentityAnswer> {
  const { url, timeoutMs } = request;
  const signal = AbortSignal.timeout(timeoutMs);
  const where = `${url.hostname}:${url.port || portDefault}`;
  let raw: Socket | undefined;
  try {
    raw = await dial(url, signal);
    const socket = await meet(raw, request, where);
    const answer = await send(socket, request, signal);
    return readAnswer(answer.status, answer.text, answer.retryAfter);
  } catch (error) {
    if (error instanceof IdentityError) throw error;
    const why = signal.aborted ? `no answer within ${timeoutMs} ms` : describeError(error);
    const message = `the coordinator at ${where} issues no certificate: ${why}`;
    throw new IdentityError("IdentityUnavailable", message, { cause: error });
  } finally {
    raw?.destroy();
  }
}

async function dial(url: URL, signal: AbortSignal): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const socket = connect({ host, port: Number(url.port || portDefault), signal });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.on("error", reject);
  });
  return socket;
}

async function meet(raw: Socket, { authorities, timeoutMs }: IdentityRequest, where: string): Promise<TLSSocket> {
  const context = createSecureContext({ ca: splitPem(authorities), minVersion: "TLSv1.3" });
  const credentials = { current: { context, identity: { trustDomain: trustDomainOf(authorities) } } };
  const secured = await secure(raw, { credentials, expected: coordinator, protocol: "http/1.1", timeoutMs });
  if (secured.outcome === "verified") return secured.socket;
  const { code, message } = secured.problem;
  throw new IdentityError("IdentityUnavailable", `the one at ${where} is not believed (${code}): ${message}`);
}

/** Of all authorities; a bundle of several meshes would let one vouch for another. */
export function trustDomainOf(authorities: string): string {
  const domains = new Set(
    splitPem(authorities).map((pem) => {
      const [uri = ""] = uriNamesOf(parse(pem)) ?? [];
      return parseAuthorityUri(uri);
    }),
  );
  const [domain] = domains;
  if (domains.size === 1 && domain !== undefined) return domain;
  throw new IdentityError("IdentityInvalid", "the authorities to believe are not those of one mesh");
}

function parse(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new IdentityError("IdentityInvalid", "an authority to believe cannot be read", { cause: error });
  }
}

interface RawAnswer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | undefined;
}

async function send(socket: TLSSocket, request: IdentityRequest, signal: AbortSignal): Promise<RawAnswer> {
  const { url, token, csr } = request;
  const body = Buffer.from(JSON.stringify({ token, csr }));
  const answered = Promise.withResolvers<IncomingMessage>();
  const sent = httpRequest({
    createConnection: () => socket,
    method: "POST",
    path,
    headers: { host: url.host, "content-type": "application/json", "content-length": body.length, connection: "close" },
    signal,
  });
  sent.once("response", answered.resolve);
  sent.on("error", answered.reject);
  sent.end(body);
  const answer = await answered.promise;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer) {
    size += chunk.length;
    if (size > answerBytesMax) throw new IdentityError("IdentityInvalid", `the answer exceeds ${answerBytesMax} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  return { status: answer.statusCode ?? 0, text, retryAfter: answer.headers["retry-after"] };
}

function readAnswer(status: number, text: string, retryAfter: string | undefined): IdentityAnswer {
  const value = parseJson(text);
  const { certificate, authorities, detail } = value;
  if (status === 200 && typeof certificate === "string" && typeof authorities === "string") {
    return { certificate, authorities };
  }
  const why = typeof detail === "string" ? detail : `the answer has the status ${status} and is none of a coordinator`;
  const message = `the coordinator gives no certificate (${typeof value.code === "string" ? value.code : status}): ${why}`;
  const isRefused = status >= 400 && status < 500 && status !== 429;
  const seconds = Number(retryAfter);
  throw new IdentityError(isRefused ? "IdentityRefused" : "IdentityUnavailable", message, {
    ...(seconds > 0 && { retryAfterMs: seconds * 1_000 }),
  });
}

function parseJson(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // The status says enough: a proxy's page, perhaps.
    return {};
  }
}
