import type { IncomingMessage } from "node:http";
import type { Logger, Metrics } from "@cutline/runtime";
import { facts, page, paragraph, table } from "./html.ts";
import { type Answer, json, Listener } from "./listener.ts";
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

/** The agent's own page: JSON for programs, HTML for browsers. Only reads, and only on the address it is given. */
export class AdminServer {
  readonly #options: AdminOptions;
  readonly #listener: Listener;

  constructor(options: AdminOptions) {
    this.#options = options;
    this.#listener = new Listener({
      purpose: "the agent's page",
      portSetting: "CUTLINE_ADMIN_PORT",
      logger: options.logger,
      route: (path, request) => this.#route(path, request),
    });
  }

  /** Resolves with the port, which is the one the system chose when 0 was asked for. */
  listen(host: string, port: number): Promise<number> {
    return this.#listener.listen(host, port);
  }

  close(): Promise<void> {
    return this.#listener.close();
  }

  async #route(path: string, request: IncomingMessage): Promise<Answer> {
    const wantsHtml = request.headers.accept?.includes("text/html") ?? false;
    const { metrics, title } = this.#options;
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

/** Names that nobody else can give to this machine: addresses, and `localhost`. */
function isLocal(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = host.replace(/:\d+$/, "");
  return name === "localhost" || /^\[[0-9a-f:.]+\]$/i.test(name) || /^\d{1,3}(\.\d{1,3}){3}$/.test(name);
}
