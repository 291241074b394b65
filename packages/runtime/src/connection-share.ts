import type { Server, Socket } from "node:net";

export interface ConnectionShare {
  /** At a time, of all addresses. */
  readonly connectionsMax: number;
  /** At a time, of one address. */
  readonly connectionsPerAddressMax: number;
}

/**
 * Bounds a server's connections so that no address alone can take them all: one beyond its share is closed as soon as
 * it is accepted. To be called before the server listens.
 */
export function shareConnections(server: Server, { connectionsMax, connectionsPerAddressMax }: ConnectionShare): void {
  const open = new Map<string, number>();
  server.maxConnections = connectionsMax;
  // Before what makes TLS and HTTP of a connection.
  server.prependListener("connection", (socket: Socket) => {
    const { remoteAddress } = socket;
    // It has gone already.
    if (remoteAddress === undefined) return;
    const count = open.get(remoteAddress) ?? 0;
    if (count >= connectionsPerAddressMax) {
      socket.destroy();
      return;
    }
    open.set(remoteAddress, count + 1);
    socket.once("close", () => {
      const left = (open.get(remoteAddress) ?? 1) - 1;
      if (left === 0) open.delete(remoteAddress);
      else open.set(remoteAddress, left);
    });
  });
}
