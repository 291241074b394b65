import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createKubeClient, type KubeClient } from "../../../src/kubernetes/api/client.ts";

export interface FakeRequest {
  readonly isWatch: boolean;
  readonly query: URLSearchParams;
}

type Answer = (request: FakeRequest, response: ServerResponse, number: number) => void;

/** An API server that says what its test tells it to say: for what a real one does too seldom. */
export class FakeApi {
  readonly client: KubeClient;
  readonly requests: FakeRequest[] = [];
  readonly #server: Server;

  static async open(answer: Answer): Promise<FakeApi> {
    let api: FakeApi | undefined;
    const server = createServer((request: IncomingMessage, response) => {
      const { searchParams: query } = new URL(request.url ?? "", "http://x");
      const asked = { isWatch: query.get("watch") === "true", query };
      api?.requests.push(asked);
      answer(asked, response, api?.requests.filter(({ isWatch }) => isWatch === asked.isWatch).length ?? 0);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    api = new FakeApi(server);
    return api;
  }

  private constructor(server: Server) {
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    const cluster = {
      server: new URL(`http://127.0.0.1:${port}`),
      namespace: "shop",
      credentials: async () => ({}),
      close: () => undefined,
    };
    this.client = createKubeClient({ cluster, requestTimeoutMs: 2_000, answerBytesMax: 4_096, userAgent: "test" });
  }

  get watches(): FakeRequest[] {
    return this.requests.filter(({ isWatch }) => isWatch);
  }

  get lists(): FakeRequest[] {
    return this.requests.filter(({ isWatch }) => !isWatch);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

export function sendList(response: ServerResponse, version: string, names: readonly string[], next?: string): void {
  const metadata = { resourceVersion: version, ...(next !== undefined && { continue: next }) };
  sendJson(response, 200, { metadata, items: names.map((name) => object(name, version)) });
}

export function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

export function sendEvent(response: ServerResponse, type: string, body: object): void {
  response.write(`${JSON.stringify({ type, object: body })}\n`);
}

export function object(name: string, version: string) {
  return { metadata: { name, namespace: "shop", uid: `uid-${name}`, resourceVersion: version } };
}

export const gone = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };
