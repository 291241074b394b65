import { Snapshot } from "@cutline/proto/snapshot";
import { until } from "./until.ts";

/** The body of `POST /v1/snapshots`. */
export interface StartBody {
  readonly scope?: {
    readonly namespaces?: readonly string[];
    readonly labelSelector?: Readonly<Record<string, string>>;
  };
  readonly initiator?: string;
  readonly timeoutMs?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly attempts?: number;
}

interface TopologyProcess {
  readonly id: string;
  readonly incarnation: string;
  readonly phase: "attached" | "detached";
  readonly ready: boolean;
  readonly reasons: readonly { readonly code: string; readonly message: string }[];
}

export interface Topology {
  readonly discovery?: { readonly phase: string };
  readonly processes: readonly TopologyProcess[];
  readonly links: readonly { readonly id: string; readonly a: string; readonly b: string; readonly phase: string }[];
  readonly environment: readonly { readonly process: string; readonly authority: string }[];
}

/** An answer that is not 2xx. */
export class RestProblem extends Error {
  readonly status: number;
  /** `code` of the RFC 9457 body; empty when it is none. */
  readonly code: string;
  readonly contentType: string;
  readonly body: string;

  constructor(what: string, status: number, contentType: string, body: string) {
    super(`${what}: ${status} ${body}`);
    this.name = "RestProblem";
    this.status = status;
    this.contentType = contentType;
    this.body = body;
    this.code = codeOf(body);
  }
}

const answerMsMax = 30_000;
/** On top of the snapshot's own time limit. */
const endedSlackMs = 15_000;

/** The coordinator's REST interface, as a program would use it. Rejects with `RestProblem` for an answer that is not 2xx. */
export class Rest {
  readonly #base: () => string;

  constructor(base: () => string) {
    this.#base = base;
  }

  async request(method: string, path: string, init: Omit<RequestInit, "method"> = {}): Promise<Response> {
    const response = await this.raw(method, path, init);
    if (response.ok) return response;
    const contentType = response.headers.get("content-type") ?? "";
    throw new RestProblem(`${method} ${path}`, response.status, contentType, await response.text());
  }

  /** Whatever the answer is. */
  raw(method: string, path: string, init: Omit<RequestInit, "method"> = {}): Promise<Response> {
    return fetch(`${this.#base()}${path}`, { signal: AbortSignal.timeout(answerMsMax), ...init, method });
  }

  /** Starts one, and does not wait for it. */
  async create(body: StartBody = {}, idempotencyKey?: string): Promise<Snapshot> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (idempotencyKey !== undefined) headers["idempotency-key"] = idempotencyKey;
    const response = await this.request("POST", "/v1/snapshots", { headers, body: JSON.stringify(body) });
    return Snapshot.fromJSON(await response.json());
  }

  async get(id: string): Promise<Snapshot> {
    return Snapshot.fromJSON(await (await this.request("GET", pathOf(id))).json());
  }

  async list(query = ""): Promise<Snapshot[]> {
    const page = (await (await this.request("GET", `/v1/snapshots${query}`)).json()) as { snapshots: unknown[] };
    return page.snapshots.map((entry) => Snapshot.fromJSON(entry));
  }

  /** Waits for the end of one that runs: until its time limit and 15 s more. */
  async ended(id: string): Promise<Snapshot> {
    let last = await this.get(id);
    return until(
      `the end of snapshot ${id}`,
      async () => {
        if (last.endedAt === "") last = await this.get(id);
        return last.endedAt === "" ? undefined : last;
      },
      { timeoutMs: last.timeoutMs + endedSlackMs, otherwise: () => `it is ${last.phase}: ${last.message}` },
    );
  }

  /** Starts one and waits for its end, whatever that is. */
  async take(body: StartBody = {}): Promise<Snapshot> {
    return this.ended((await this.create(body)).id);
  }

  async abort(id: string): Promise<Snapshot> {
    return Snapshot.fromJSON(await (await this.request("POST", `${pathOf(id)}:abort`)).json());
  }

  async remove(id: string): Promise<void> {
    await this.request("DELETE", pathOf(id));
  }

  /** The whole global state, as bytes of JSON. */
  async state(id: string): Promise<Buffer> {
    const response = await this.request("GET", `${pathOf(id)}/state`, { headers: { accept: "application/json" } });
    return Buffer.from(await response.arrayBuffer());
  }

  async topology(): Promise<Topology> {
    return (await (await this.request("GET", "/v1/topology")).json()) as Topology;
  }

  async readiness(): Promise<"ready" | "notReady"> {
    const response = await this.raw("GET", "/readyz");
    await response.arrayBuffer();
    return response.ok ? "ready" : "notReady";
  }
}

function pathOf(id: string): string {
  return `/v1/snapshots/${encodeURIComponent(id)}`;
}

function codeOf(body: string): string {
  try {
    const { code } = JSON.parse(body) as { code?: unknown };
    return typeof code === "string" ? code : "";
  } catch {
    // Not JSON, so it is no problem by RFC 9457; tests look at the body.
    return "";
  }
}
