import { type IncomingMessage, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { CliError, type ExitCode, exitCodes, interrupted, messageOf } from "../errors.ts";
import type { Io } from "../io.ts";
import { arrayOf, asRecord, numberOf, stringOf, textOf } from "../json.ts";
import type { ClusterAccess } from "./api/kubeconfig.ts";

/** One request. Default 30 s. */
const requestMsMax = 30_000;
/** The answer to one request. */
const answerBytesMax = 128 * 1024 ** 2;
const pageSize = 500;
/** Objects of one list. */
const objectsMax = 50_000;

interface Call {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** JSON; of a PATCH a merge patch. */
  readonly body?: unknown;
  /** What it is for, for messages: "cannot list the pods". */
  readonly failure: string;
}

/** A `Status` of the API, or no answer at all. */
export class ApiError extends CliError {
  /** HTTP; 0: there was no answer. */
  readonly status: number;

  constructor(status: number, code: string, exitCode: ExitCode, message: string, cause?: unknown) {
    super(code, exitCode, message, { cause });
    this.status = status;
  }
}

/** The API server, as the user of the kubeconfig. Every rejection is a {@link CliError}. */
export interface KubeApi {
  send(call: Call): Promise<unknown>;
  /** All pages, up to 50000 objects. */
  list(call: Omit<Call, "method" | "body">): Promise<readonly unknown[]>;
}

export function createKubeApi(io: Io, access: ClusterAccess): KubeApi {
  const { server } = access;

  async function answerTo(call: Call): Promise<IncomingMessage> {
    const url = new URL(server);
    url.pathname = `${server.pathname.replace(/\/$/, "")}${call.path}`;
    url.search = new URLSearchParams(call.query).toString();
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const { headers, ...options } = await access.options();
    const answer = Promise.withResolvers<IncomingMessage>();
    const request = (server.protocol === "http:" ? plainRequest : tlsRequest)(url, {
      ...options,
      method: call.method,
      signal: AbortSignal.any([io.signal, AbortSignal.timeout(requestMsMax)]),
      headers: {
        ...headers,
        accept: "application/json",
        "user-agent": "kubectl-cutline",
        ...(body !== undefined && {
          "content-type": call.method === "PATCH" ? "application/merge-patch+json" : "application/json",
        }),
      },
    });
    request.once("response", answer.resolve);
    request.on("error", answer.reject);
    request.end(body);
    return await answer.promise;
  }

  async function send(call: Call): Promise<unknown> {
    let answer: IncomingMessage;
    let text: string;
    try {
      answer = await answerTo(call);
      text = await readText(answer, call.failure);
    } catch (error) {
      if (error instanceof CliError) throw error;
      if (io.signal.aborted) throw interrupted();
      const message = `${call.failure}: the API server ${server.origin} of the context "${access.contextName}" does not answer: ${messageOf(error)}`;
      throw new ApiError(0, "ApiServerUnreachable", exitCodes.unavailable, message, error);
    }
    const value = parsed(text);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return value;
    throw errorOf(status, value, call.failure);
  }

  return {
    send,
    async list({ path, query, failure }) {
      const items: unknown[] = [];
      let from: string | undefined;
      do {
        const page = asRecord(
          await send({
            method: "GET",
            path,
            failure,
            query: { ...query, limit: String(pageSize), ...(from !== undefined && { continue: from }) },
          }),
        );
        items.push(...arrayOf(page?.items));
        from = textOf(asRecord(page?.metadata)?.continue);
      } while (from !== undefined && items.length < objectsMax);
      return items;
    },
  };
}

function errorOf(httpStatus: number, body: unknown, failure: string): ApiError {
  const status = asRecord(body);
  const said = textOf(status?.message) ?? `the API server answered with status ${httpStatus}`;
  const seconds = numberOf(asRecord(status?.details)?.retryAfterSeconds);
  const again = seconds > 0 ? `; try again in ${seconds} s` : "";
  const code = textOf(status?.reason) ?? `Http${httpStatus}`;
  return new ApiError(
    httpStatus,
    code,
    exitCodeOf(httpStatus),
    `${failure}: ${said}${adviceFor(httpStatus, said)}${again}`,
  );
}

function adviceFor(status: number, said: string): string {
  if (status === 401) return "; log in to the cluster anew, or choose another --context";
  if (status === 403) return "; ask for a role that allows it";
  if (status === 404 && stringOf(said).includes("could not find the requested resource")) {
    return "; install Cutline's definitions (helm install cutline, or kubectl apply -f crds/)";
  }
  return "";
}

function exitCodeOf(status: number): ExitCode {
  if (status === 404 || status === 410) return exitCodes.notFound;
  if (status === 400 || status === 422) return exitCodes.usage;
  return status >= 400 && status < 500 ? exitCodes.refused : exitCodes.unavailable;
}

async function readText(answer: IncomingMessage, failure: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer) {
    bytes += chunk.length;
    if (bytes > answerBytesMax) {
      answer.destroy();
      const message = `${failure}: the API server's answer is longer than ${answerBytesMax} bytes`;
      throw new CliError("AnswerTooLarge", exitCodes.unavailable, message);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy's page, or nothing: the status says more.
    return undefined;
  }
}
