import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { BankError } from "./errors.ts";

/** What a page answers, by `METHOD /path`. The value is shown as JSON. */
export type Routes = Record<string, () => unknown>;

/** A page that is only seen from this machine. */
export class Page {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(port: number, routes: Routes): Promise<Page> {
    const known = new Map(Object.entries(routes));
    const server = createServer((request, response) => {
      const show = known.get(`${request.method} ${request.url}`);
      const body = show === undefined ? { error: `no such page; there are: ${[...known.keys()].join(", ")}` } : show();
      response.writeHead(show === undefined ? 404 : 200, { "content-type": "application/json" });
      response.end(`${JSON.stringify(body)}\n`);
    });
    server.listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch (cause) {
      throw new BankError("PORT_UNUSABLE", `cannot open a page on 127.0.0.1:${port}; choose another port`, { cause });
    }
    return new Page(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
