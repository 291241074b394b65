import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Stands in front of a port, carries bytes as they are, and breaks when it is told to. */
export interface TcpProxy {
  readonly address: string;
  /** Connections that have come in so far. */
  readonly accepted: number;
  readonly open: number;
  /** Resets every connection that runs through it. */
  cut(): void;
  /** From here on connections are reset as they come. */
  refuse(): void;
  allow(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(port: number): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let accepted = 0;
  let refusing = false;
  const server = createServer((near) => {
    near.on("error", () => {});
    if (refusing) {
      near.resetAndDestroy();
      return;
    }
    accepted += 1;
    const far = connect({ host: "127.0.0.1", port });
    far.on("error", () => {});
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [far, near] as const]) {
      from.pipe(to);
      from.once("close", () => {
        pairs.delete(pair);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
  };
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get accepted() {
      return accepted;
    },
    get open() {
      return pairs.size;
    },
    cut,
    refuse() {
      refusing = true;
    },
    allow() {
      refusing = false;
    },
    async close() {
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
