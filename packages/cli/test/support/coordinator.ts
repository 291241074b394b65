import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { completed, globalState, type Loose, ndjson } from "./fixtures.ts";

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Loose;
}

/** A coordinator over real HTTP that remembers what it was asked. Snapshots end after as many looks as `steps` has. */
export class FakeCoordinator implements AsyncDisposable {
  readonly asked: Asked[] = [];
  readonly snapshots = new Map<string, Loose>();
  readonly #keys = new Map<string, string>();
  /** What a started snapshot becomes, look by look; the last one stays. */
  steps: Loose[] = [{}];
  /** Answers instead of everything else while it is set. */
  refusal: { status: number; body: Loose; retryAfter?: string } | undefined;
  topology: Loose = { term: 7, processes: [], links: [], environment: [] };
  state: Loose = globalState();
  /** Of bank/north, each time anew. */
  localState: () => string | undefined = () => "raw \u001b[31mstate";
  /** Breaks the connection in the middle of a state. */
  tearsState = false;
  pageSnapshots = 2;
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  url = "";

  static async start(port = 0): Promise<FakeCoordinator> {
    const coordinator = new FakeCoordinator();
    await new Promise<void>((resolve, reject) => {
      coordinator.#server.once("error", reject);
      coordinator.#server.listen(port, "127.0.0.1", resolve);
    });
    coordinator.url = `http://127.0.0.1:${(coordinator.#server.address() as AddressInfo).port}`;
    return coordinator;
  }

  add(more: Loose = {}): void {
    const snapshot = { ...completed(), ...more };
    this.snapshots.set(snapshot.id, snapshot);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const { method = "", url = "" } = request;
    this.asked.push({ method, url, headers: request.headers, body: body === "" ? undefined : JSON.parse(body) });
    if (this.refusal !== undefined) {
      const { status, retryAfter } = this.refusal;
      response.writeHead(status, {
        "content-type": "application/problem+json",
        ...(retryAfter !== undefined && { "retry-after": retryAfter }),
      });
      response.end(typeof this.refusal.body === "string" ? this.refusal.body : JSON.stringify(this.refusal.body));
      return;
    }
    this.#route(method, new URL(url, "http://host"), request, response);
  }

  #route(method: string, url: URL, request: IncomingMessage, response: ServerResponse): undefined {
    if (url.pathname === "/v1/topology") return json(response, 200, this.topology);
    if (url.pathname === "/v1/snapshots") {
      if (method === "POST") return this.#create(String(request.headers["idempotency-key"]), response);
      return this.#list(url.searchParams, response);
    }
    const [, id = "", verb, rest] = /^\/v1\/snapshots\/([^/:]+)(?:([:/].*?))?(?:\/(.*))?$/.exec(url.pathname) ?? [];
    const snapshot = this.snapshots.get(id);
    if (snapshot === undefined) return problem(response, 404, "SnapshotNotFound", "There is no snapshot with this id.");
    if (verb === ":abort") {
      if (snapshot.endedAt !== "") return problem(response, 409, "SnapshotEnded", "It has ended already.");
      snapshot.phase = "Aborted";
      return json(response, 200, snapshot);
    }
    if (verb === "/state") return this.#sendState(request, response);
    if (verb === "/processes" && rest === "bank%2Fnorth/state") {
      response.end(this.localState());
      return;
    }
    if (verb === "/channels" && rest === "l1%3A0") return json(response, 200, this.state.channels[0]);
    if (verb !== undefined) return problem(response, 404, "NotFound", "There is nothing here.");
    if (method === "DELETE") {
      this.snapshots.delete(id);
      response.writeHead(204).end();
      return;
    }
    const step = snapshot.steps?.shift() ?? {};
    Object.assign(snapshot, step);
    const { steps: _, ...shown } = snapshot;
    json(response, 200, shown);
  }

  #create(key: string, response: ServerResponse): undefined {
    const id = this.#keys.get(key) ?? `s-${String(this.snapshots.size + 1).padStart(4, "0")}`;
    this.#keys.set(key, id);
    const none = { phase: "Pending", endedAt: "", durationMs: 0, exact: false, progress: undefined };
    this.snapshots.set(id, { ...completed(), id, ...none, steps: [...this.steps] });
    json(response, 202, { ...completed(), id, ...none });
  }

  #list(query: URLSearchParams, response: ServerResponse): undefined {
    const from = Number(query.get("cursor") ?? 0);
    const all = [...this.snapshots.values()];
    const next = from + Math.min(this.pageSnapshots, Number(query.get("limit")));
    json(response, 200, { snapshots: all.slice(from, next), ...(next < all.length && { next: String(next) }) });
  }

  #sendState(request: IncomingMessage, response: ServerResponse): undefined {
    const whole =
      request.headers.accept === "application/x-ndjson" ? ndjson(this.state).join("") : JSON.stringify(this.state);
    if (!this.tearsState) {
      response.end(whole);
      return;
    }
    response.write(whole.slice(0, whole.length / 2), () => response.destroy());
  }
}

function json(response: ServerResponse, status: number, value: unknown): undefined {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function problem(response: ServerResponse, status: number, code: string, detail: string): undefined {
  response.writeHead(status, { "content-type": "application/problem+json" });
  response.end(JSON.stringify({ type: `urn:cutline:problem:${code}`, title: "Error", status, detail, code }));
}
