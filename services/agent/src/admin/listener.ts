import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CutlineError, type Logger } from "@cutline/runtime";

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface ListenerOptions {
  /** The answer to a GET or HEAD of this path (without its query). */
  route(path: string, request: IncomingMessage): Promise<Answer>;
  /** What is listened for, and the setting of its port, for messages. */
  readonly purpose: string;
  readonly portSetting: string;
  readonly logger: Logger;
}

class AdminError extends CutlineError<"ListenFailed"> {}

/** Connections at a time. */
const connectionsMax = 64;
/** From the first byte of a request to its last, and between requests. */
const requestTimeoutMs = 5_000;

/** HTTP of the agent itself: it only tells, in small answers that nobody keeps. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        requestTimeout: requestTimeoutMs,
        headersTimeout: requestTimeoutMs,
        keepAliveTimeout: requestTimeoutMs,
        // Node looks every 30 s otherwise, whatever the time-outs are.
        connectionsCheckingInterval: Math.ceil(requestTimeoutMs / 2),
      },
      (request, response) => {
        this.#answer(request, response).catch((error) => {
          options.logger.error({ error, url: request.url }, "a page of the agent failed");
          response.destroy();
        });
      },
    );
    this.#server.maxConnections = connectionsMax;
  }

  /** Resolves with the port, which is the one the system chose when 0 was asked for. */
  async listen(host: string, port: number): Promise<number> {
    const { purpose, portSetting, logger } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error) => {
        const message = `cannot listen on ${host}:${port} for ${purpose}; set ${portSetting} to a free port, or 0 for any`;
        reject(new AdminError("ListenFailed", message, { cause: error }));
      };
      this.#server.once("error", failed);
      this.#server.listen(port, host, () => {
        this.#server.removeListener("error", failed);
        this.#server.on("error", (error) => logger.error({ error, purpose }, "listener of the agent itself failed"));
        resolve();
      });
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Harmless for one that does not listen. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    const isRead = request.method === "GET" || request.method === "HEAD";
    const { status, contentType, body } = isRead
      ? await this.#options.route(path, request)
      : json(405, { code: "MethodNotAllowed", message: "this page only tells; use GET" });
    response.writeHead(status, {
      "content-type": contentType,
      "content-length": Buffer.byteLength(body),
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    });
    response.end(request.method === "HEAD" ? undefined : body);
  }
}

export function json(status: number, value: unknown): Answer {
  return { status, contentType: "application/json; charset=utf-8", body: `${JSON.stringify(value, null, 2)}\n` };
}
