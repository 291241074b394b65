import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** What the page does with a request. */
export type StatePageMode =
  | { readonly does: "answers"; readonly bodyBytes: number }
  | { readonly does: "hangs" }
  | { readonly does: "errs" }
  | { readonly does: "talks garbage" }
  | { readonly does: "breaks off" };

/** A page of state that misbehaves as its test tells it to. Speaks bare TCP, because some of it is no HTTP. */
export class StatePage {
  mode: StatePageMode = { does: "answers", bodyBytes: 100 };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  static async open(): Promise<StatePage> {
    const page = new StatePage();
    page.#server.listen(0, "127.0.0.1");
    await once(page.#server, "listening");
    return page;
  }

  private constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      // The agent hangs up on a page that misbehaves.
      socket.on("error", () => socket.destroy());
      socket.once("data", () => this.#answer(socket));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/state`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #answer(socket: Socket): void {
    const { mode } = this;
    switch (mode.does) {
      case "answers":
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${mode.bodyBytes}\r\n\r\n${"x".repeat(mode.bodyBytes)}`);
        return;
      case "hangs":
        return;
      case "errs":
        socket.end("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 10\r\n\r\nno idea :(");
        return;
      case "talks garbage":
        socket.end("%$&/ this is no HTTP at all\r\n\r\n");
        return;
      case "breaks off":
        socket.end("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this");
    }
  }
}
