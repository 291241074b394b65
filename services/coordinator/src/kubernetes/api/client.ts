import { type IncomingMessage, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { describeError } from "@cutline/runtime";
import type { Cluster } from "./cluster.ts";
import { errorOfStatus, KubeError } from "./errors.ts";
import { linesOf } from "./lines.ts";

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

interface Call {
  readonly method: Method;
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** JSON; for PATCH a JSON merge patch, or a list of JSON patch operations. */
  readonly body?: unknown;
}

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: unknown;
}

interface WatchOptions {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** Without a byte for so long, the watch fails. */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
}

/** The API as requests and answers. Every method rejects with a {@link KubeError}. */
export interface KubeClient {
  send<Answer>(call: Call): Promise<Answer>;
  /** Ends when the server ends it. What goes wrong, and what the caller throws, comes out of the loop. */
  watch(options: WatchOptions): AsyncIterable<WatchEvent>;
  /**
   * How far the server's clock is ahead of this machine's, in milliseconds, by the newest answer that said so: to a second,
   * and to what the answer took. `undefined`: none has said so.
   */
  clockOffsetMs(): number | undefined;
  close(): void;
}

export interface ClientOptions {
  readonly cluster: Cluster;
  readonly requestTimeoutMs: number;
  readonly answerBytesMax: number;
  readonly userAgent: string;
}

/** TCP notices a peer that is gone after this. */
const keepAliveMs = 30_000;

export function createKubeClient(options: ClientOptions): KubeClient {
  const { cluster, requestTimeoutMs, answerBytesMax } = options;
  let offsetMs: number | undefined;

  async function open(call: Call, signal: AbortSignal): Promise<IncomingMessage> {
    const url = new URL(cluster.server);
    url.pathname = `${url.pathname.replace(/\/$/, "")}${call.path}`;
    url.search = new URLSearchParams(call.query).toString();
    const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    const credentials = await cluster.credentials();
    const send = url.protocol === "http:" ? plainRequest : tlsRequest;
    const { agent, ...rest } = credentials;
    const answer = Promise.withResolvers<IncomingMessage>();
    const request = send(url, {
      ...rest,
      ...(url.protocol === "https:" && agent !== undefined ? { agent } : {}),
      method: call.method,
      signal,
      headers: {
        ...credentials.headers,
        accept: "application/json",
        "user-agent": options.userAgent,
        ...(body !== undefined && { "content-type": contentType(call), "content-length": body.length }),
      },
    });
    request.once("response", answer.resolve);
    // Stays on: after the answer has begun, its reader is told; here that error has nobody to go to.
    request.on("error", answer.reject);
    request.on("socket", (socket) => socket.setKeepAlive(true, keepAliveMs));
    request.end(body);
    const came = await answer.promise;
    const serverMs = Date.parse(came.headers.date ?? "");
    if (!Number.isNaN(serverMs)) offsetMs = serverMs - Date.now();
    return came;
  }

  async function read(answer: IncomingMessage): Promise<unknown> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of answer) {
      size += chunk.length;
      if (size > answerBytesMax) {
        answer.destroy();
        throw new KubeError("KubeTooLarge", `the answer has more than ${answerBytesMax} bytes`);
      }
      chunks.push(chunk);
    }
    const text = Buffer.concat(chunks).toString("utf8");
    const isJson = answer.headers["content-type"]?.startsWith("application/json") ?? false;
    return isJson && text !== "" ? JSON.parse(text) : text;
  }

  async function* watchLines({ path, query, silenceMs, signal }: WatchOptions): AsyncGenerator<WatchEvent> {
    const silence = new AbortController();
    const timer = setTimeout(
      () => silence.abort(new KubeError("KubeUnavailable", `watch of ${path}: nothing came for ${silenceMs} ms`)),
      silenceMs,
    );
    try {
      const all = { ...query, watch: "true" };
      const answer = await open({ method: "GET", path, query: all }, AbortSignal.any([signal, silence.signal]));
      if (answer.statusCode !== 200) {
        throw errorOfStatus(answer.statusCode ?? 0, await read(answer), `watch of ${path}`);
      }
      for await (const line of linesOf(answer, answerBytesMax, () => timer.refresh())) {
        yield JSON.parse(line) as WatchEvent;
      }
    } catch (error) {
      throw silence.signal.aborted ? silence.signal.reason : told(error, `watch of ${path}`);
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
  }

  return {
    async send<Answer>(call: Call): Promise<Answer> {
      const what = `${call.method} ${call.path}`;
      try {
        const answer = await open(call, AbortSignal.timeout(requestTimeoutMs));
        const body = await read(answer);
        const status = answer.statusCode ?? 0;
        if (status < 200 || status > 299) throw errorOfStatus(status, body, what);
        // The API server is trusted to answer with the kind that was asked for.
        return body as Answer;
      } catch (error) {
        throw told(error, what);
      }
    },
    watch: watchLines,
    clockOffsetMs: () => offsetMs,
    close: () => cluster.close(),
  };
}

function contentType({ method, body }: Call): string {
  if (method !== "PATCH") return "application/json";
  return Array.isArray(body) ? "application/json-patch+json" : "application/merge-patch+json";
}

function told(error: unknown, what: string): KubeError {
  if (error instanceof KubeError) return error;
  return new KubeError("KubeUnavailable", `${what}: ${describeError(error)}`, { cause: error });
}
