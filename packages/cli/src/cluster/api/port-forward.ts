import { type AddressInfo, createServer, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { type KubeConfig, PortForward } from "@kubernetes/client-node";
import { messageOf } from "../../errors.ts";

/** A port of 127.0.0.1, until `close`. */
export interface PortForwarding {
  readonly url: string;
  /** Why the last connection through it broke, as the API server or the kubelet says it; empty: nothing was said. */
  failure(): string;
  close(): void;
}

/** Connections that are open at a time; more are refused. */
const connectionsMax = 16;

/** Each connection to the local port is a WebSocket to the API server, which leads to the pod's port. */
export async function openForward(
  config: KubeConfig,
  pod: { readonly namespace: string; readonly name: string },
  port: number,
): Promise<PortForwarding> {
  const forward = new PortForward(config);
  const sockets = new Set<Socket>();
  let failure = "";

  async function lead(socket: Socket): Promise<void> {
    const said = new PassThrough();
    said.on("data", (text: Buffer) => {
      failure = text.toString("utf8").trim();
      socket.destroy();
    });
    try {
      const line = await forward.portForward(pod.namespace, pod.name, [port], socket, said, socket);
      // One that can be started anew is a function; this one is not asked to be.
      if (typeof line === "function") return;
      line.on("close", () => socket.destroy());
      line.on("error", (error: unknown) => {
        failure = saidIn(error);
        socket.destroy();
      });
      socket.on("close", () => line.close());
      if (socket.destroyed) line.close();
    } catch (error) {
      failure = saidIn(error);
      socket.destroy();
    }
  }

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    // Its other end is told by the closing.
    socket.on("error", () => socket.destroy());
    void lead(socket);
  });
  server.maxConnections = connectionsMax;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    failure: () => failure,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** WebSockets fail with events instead of errors. */
function saidIn(failure: unknown): string {
  const inner = failure instanceof Error ? failure : (failure as { readonly error?: unknown } | undefined)?.error;
  return inner instanceof Error ? messageOf(inner) : "the API server does not forward to it";
}
