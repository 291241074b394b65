import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CutlineError, type Logger, type Metrics } from "@cutline/runtime";
import { facts, page, paragraph, table } from "./html.ts";
import type { Readiness } from "./readiness.ts";
import type { CallRow, LinkRow, Listing, SettingRow } from "./views.ts";

export interface AdminOptions {
  readonly title: string;
  readonly metrics: Metrics;
  /** Name and value of what the first page tells. */
  overview(): readonly (readonly [name: string, value: string])[];
  readiness(): Promise<Readiness>;
  links(): Listing<LinkRow>;
  calls(): Listing<CallRow>;
  settings(): Listing<SettingRow>;
  readonly logger: Logger;
}

class AdminError extends CutlineError<"ListenFailed"> {}

/** Connections at a time. */
const connectionsMax = 64;
/** From the first byte of a request to its last, and between requests. */
const requestTimeoutMs = 5_000;

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** The agent's own page: JSON for programs, HTML for browsers. Only reads, and only on the address it is given. */
export class AdminServer {
  readonly #options: AdminOptions;
  readonly #server: Server;

  constructor(options: AdminOptions) {
    this.#options = options;
    this.#server = createServer(
      { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs, keepAliveTimeout: requestTimeoutMs },
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
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error) => {
        const message = `cannot listen on ${host}:${port} for the agent's page; set CUTLINE_ADMIN_PORT to a free port, or 0 for any`;
        reject(new AdminError("ListenFailed", message, { cause: error }));
      };
      this.#server.once("error", failed);
      this.#server.listen(port, host, () => {
        this.#server.removeListener("error", failed);
        this.#server.on("error", (error) => this.#options.logger.error({ error }, "listener of the page failed"));
        resolve();
      });
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, contentType, body } = await this.#route(request);
    response.writeHead(status, {
      "content-type": contentType,
      "content-length": Buffer.byteLength(body),
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    });
    response.end(request.method === "HEAD" ? undefined : body);
  }

  async #route(request: IncomingMessage): Promise<Answer> {
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    const wantsHtml = request.headers.accept?.includes("text/html") ?? false;
    const { metrics, title } = this.#options;
    if (request.method !== "GET" && request.method !== "HEAD") {
      return json(405, { code: "MethodNotAllowed", message: "this page only tells; use GET" });
    }
    if (!isLocal(request.headers.host)) {
      // A page elsewhere that has its name resolved to this address must not read this one.
      return json(403, { code: "ForeignHost", message: "call this page by its address or as localhost" });
    }
    switch (path) {
      case "/":
        return this.#overview(wantsHtml);
      case "/healthz":
        return answer(wantsHtml, 200, `${title}: health`, { outcome: "healthy" }, () => paragraph("healthy", "ready"));
      case "/readyz":
        return this.#readiness(wantsHtml);
      case "/links": {
        const listing = this.#options.links();
        return answer(wantsHtml, 200, `${title}: links`, listing, () => table(listing, "There are no links."));
      }
      case "/calls": {
        const listing = this.#options.calls();
        return answer(wantsHtml, 200, `${title}: open calls`, listing, () => table(listing, "No call is open."));
      }
      case "/config": {
        const listing = this.#options.settings();
        return answer(wantsHtml, 200, `${title}: settings`, listing, () => table(listing, ""));
      }
      case "/metrics":
        return { status: 200, contentType: metrics.contentType, body: await metrics.render() };
      default:
        return json(404, {
          code: "NotFound",
          message: "there are /, /links, /calls, /config, /metrics, /healthz and /readyz",
        });
    }
  }

  async #overview(wantsHtml: boolean): Promise<Answer> {
    const { title, overview } = this.#options;
    const readiness = await this.#options.readiness();
    const rows = overview();
    const names = Object.fromEntries(rows);
    return answer(wantsHtml, 200, title, { ...names, readiness }, () => `${readinessHtml(readiness)}\n${facts(rows)}`);
  }

  async #readiness(wantsHtml: boolean): Promise<Answer> {
    const readiness = await this.#options.readiness();
    const status = readiness.outcome === "ready" ? 200 : 503;
    return answer(wantsHtml, status, `${this.#options.title}: readiness`, readiness, () => readinessHtml(readiness));
  }
}

function readinessHtml({ outcome, missing, reservations }: Readiness): string {
  return [
    paragraph(outcome === "ready" ? "ready" : "not ready", outcome),
    ...missing.map(({ message }) => paragraph(message, "unready")),
    ...reservations.map(({ message }) => paragraph(message, "note")),
  ].join("\n");
}

function answer(wantsHtml: boolean, status: number, title: string, value: unknown, body: () => string): Answer {
  if (!wantsHtml) return json(status, value);
  return { status, contentType: "text/html; charset=utf-8", body: page(title, body()) };
}

function json(status: number, value: unknown): Answer {
  return { status, contentType: "application/json; charset=utf-8", body: `${JSON.stringify(value, null, 2)}\n` };
}

/** Names that nobody else can give to this machine: addresses, and `localhost`. */
function isLocal(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = host.replace(/:\d+$/, "");
  return name === "localhost" || /^\[[0-9a-f:.]+\]$/i.test(name) || /^\d{1,3}(\.\d{1,3}){3}$/.test(name);
}
