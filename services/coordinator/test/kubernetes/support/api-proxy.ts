import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Cluster } from "../../../src/kubernetes/api/cluster.ts";

/** A TCP proxy in front of the API server, for what networks do. */
export class ApiProxy {
  readonly cluster: Cluster;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #refuses = false;

  static async open(cluster: Cluster): Promise<ApiProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new ApiProxy(server, cluster);
  }

  private constructor(server: Server, cluster: Cluster) {
    const { hostname, port } = cluster.server;
    this.#server = server;
    this.cluster = { ...cluster, server: new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`) };
    server.on("connection", (inner) => {
      if (this.#refuses) return void inner.destroy();
      const outer = connect(Number(port), hostname);
      for (const [one, other] of [
        [inner, outer],
        [outer, inner],
      ] as const) {
        this.#sockets.add(one);
        one.on("error", () => other.destroy());
        one.on("close", () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
  }

  /** What is open passes nothing any more, and says nothing of it; new connections are well. */
  freeze(): void {
    for (const socket of this.#sockets) {
      socket.unpipe();
      socket.pause();
    }
  }

  /** Nobody gets through until `restore`. */
  cut(): void {
    this.#refuses = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  restore(): void {
    this.#refuses = false;
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}
