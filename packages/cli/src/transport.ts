import { CliError, exitCodes, interrupted, messageOf, systemCodeOf } from "./errors.ts";
import type { Io } from "./io.ts";
import { problemError } from "./problem.ts";

export interface TransportLimits {
  /** From the request to the end of a short answer, or to the first byte of a streamed one. */
  readonly answerMsMax: number;
  /** Between two pieces of a streamed answer. */
  readonly idleMsMax: number;
  /** The longest answer that is held in memory. */
  readonly answerBytesMax: number;
  /** Tries in all, when the connection is refused and the request may be repeated. */
  readonly triesMax: number;
  /** Before the second try; doubles with every further one. */
  readonly backoffMs: number;
}

const transportLimitsDefault: TransportLimits = {
  answerMsMax: 15_000,
  idleMsMax: 60_000,
  answerBytesMax: 128 * 1024 * 1024,
  triesMax: 4,
  backoffMs: 200,
};

interface Request {
  readonly method: "GET" | "POST" | "DELETE";
  /** Below the server's URL, beginning with a slash, already encoded. */
  readonly path: string;
  readonly query?: URLSearchParams;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** `idempotent`: doing it twice gives the same as doing it once. */
  readonly repeat: "idempotent" | "never";
  /** What the request is for, for error messages: "cannot list the snapshots". */
  readonly failure: string;
}

/** Speaks HTTP to one coordinator. Every rejection is a {@link CliError}. */
export interface Transport {
  /** The parsed JSON of a 2xx answer; `undefined` when it has no body. */
  json(request: Request): Promise<unknown>;
  /** The bytes of a 2xx answer as they come. */
  stream(request: Request): Promise<AsyncGenerator<Uint8Array>>;
}

interface Opened {
  /** The URL, without a slash at its end. */
  readonly base: string;
  /** For messages: `at URL`. */
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** How to get to the coordinator. */
export interface Route {
  /** Rejects with a {@link CliError}. Asked once, and again after it failed. */
  open(): Promise<Opened>;
  /** What the way itself says of a connection that broke; empty: nothing. */
  why(): string;
  /** What to do when nobody answers. */
  readonly advice: string;
  /** What to do when the coordinator does not know who calls. Absent: it says so itself. */
  readonly signIn?: string;
}

/** `token`: what the coordinator knows the caller by. */
export function directRoute(server: URL, token: () => Promise<string | undefined> = async () => undefined): Route {
  const base = server.href.replace(/\/+$/, "");
  return {
    async open() {
      const shown = await token();
      const headers = shown === undefined ? {} : { authorization: `Bearer ${shown}` };
      return { base, name: `at ${base}`, headers };
    },
    why: () => "",
    advice: "check --server or CUTLINE_SERVER, and that it runs",
  };
}

export function createTransport(io: Io, route: Route, limits: TransportLimits = transportLimitsDefault): Transport {
  let opening: ReturnType<Route["open"]> | undefined;
  let name = "";

  async function opened() {
    opening ??= route.open();
    try {
      const open = await opening;
      name = open.name;
      return open;
    } catch (error) {
      opening = undefined;
      throw error;
    }
  }

  async function send(request: Request, { base, headers }: Opened, signal: AbortSignal): Promise<Response> {
    const query = request.query !== undefined && request.query.size > 0 ? `?${request.query}` : "";
    for (let tried = 1; ; tried += 1) {
      try {
        return await io.fetch(`${base}${request.path}${query}`, {
          method: request.method,
          headers: {
            accept: "application/json, application/problem+json",
            ...headers,
            ...(request.body !== undefined && { "content-type": "application/json" }),
            ...request.headers,
          },
          ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
          redirect: "error",
          signal,
        });
      } catch (error) {
        const mayRepeat = request.repeat === "idempotent" && systemCodeOf(error) === "ECONNREFUSED";
        if (!mayRepeat || tried >= limits.triesMax || signal.aborted) throw error;
        await io.sleep(limits.backoffMs * 2 ** (tried - 1), signal);
      }
    }
  }

  /** A deadline that `rest` starts anew, and the words for every failure under it. */
  function deadlined(request: Request, ms: number) {
    const deadline = new AbortController();
    let limitMs = ms;
    let timer = setTimeout(() => deadline.abort(), limitMs);
    return {
      signal: AbortSignal.any([io.signal, deadline.signal]),
      rest(nextMs: number) {
        clearTimeout(timer);
        limitMs = nextMs;
        timer = setTimeout(() => deadline.abort(), limitMs);
      },
      end: () => clearTimeout(timer),
      inWords(error: unknown): CliError {
        if (error instanceof CliError) return error;
        if (io.signal.aborted) return interrupted();
        const why = deadline.signal.aborted
          ? `it said nothing for ${limitMs / 1000} s`
          : route.why() || (whyUnreachable[systemCodeOf(error) ?? ""] ?? causeOf(error));
        const message = `${request.failure}: the coordinator ${name} cannot be reached: ${why}; ${route.advice}`;
        return new CliError("CoordinatorUnreachable", exitCodes.unavailable, message, { cause: error });
      },
    };
  }

  async function failure(request: Request, response: Response): Promise<CliError> {
    const text = await readText(response, limits.answerBytesMax, request.failure);
    const error = problemError(request.failure, response.status, response.headers.get("retry-after"), parsed(text));
    if (response.status !== 401 || route.signIn === undefined) return error;
    return new CliError(error.code, error.exitCode, error.message, { details: [...error.details, route.signIn] });
  }

  return {
    async json(request) {
      // Who has to log in first may take their time.
      const way = await opened();
      const deadline = deadlined(request, limits.answerMsMax);
      try {
        const response = await send(request, way, deadline.signal);
        if (!response.ok) throw await failure(request, response);
        const text = await readText(response, limits.answerBytesMax, request.failure);
        if (text === "") return undefined;
        const value = parsed(text);
        if (value === undefined) throw badAnswer(request.failure, "it is not JSON");
        return value;
      } catch (error) {
        throw deadline.inWords(error);
      } finally {
        deadline.end();
      }
    },

    async stream(request) {
      // Who has to log in first may take their time.
      const way = await opened();
      const deadline = deadlined(request, limits.answerMsMax);
      try {
        const response = await send(request, way, deadline.signal);
        if (!response.ok) throw await failure(request, response);
        const body = response.body;
        return (async function* () {
          try {
            deadline.rest(limits.idleMsMax);
            for await (const chunk of body ?? []) {
              // How long the reader takes with a piece is not the coordinator's silence.
              deadline.end();
              yield chunk;
              deadline.rest(limits.idleMsMax);
            }
          } catch (error) {
            throw deadline.inWords(error);
          } finally {
            deadline.end();
          }
        })();
      } catch (error) {
        deadline.end();
        throw deadline.inWords(error);
      }
    },
  };
}

export function badAnswer(failure: string, why: string): CliError {
  return new CliError(
    "BadAnswer",
    exitCodes.unavailable,
    `${failure}: the answer does not come from a coordinator of this version: ${why}`,
  );
}

const whyUnreachable: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was reset",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the host's name cannot be looked up now",
  ETIMEDOUT: "the connection timed out",
  UND_ERR_SOCKET: "the connection broke before the answer was whole",
};

/** fetch says "fetch failed" and hides what failed in the cause. */
function causeOf(error: unknown): string {
  return error instanceof Error && error.cause instanceof Error ? messageOf(error.cause) : messageOf(error);
}

async function readText(response: Response, bytesMax: number, failure: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw badAnswer(failure, `it is longer than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy's HTML page, for example: the caller has the status to speak of.
    return undefined;
  }
}
