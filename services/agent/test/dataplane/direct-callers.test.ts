import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { afterEach, describe, it } from "node:test";
import { silentLogger } from "@cutline/runtime";
import { DirectCallers, ownAddresses } from "../../src/dataplane/direct-callers.ts";
import { connectionsAt } from "../../src/dataplane/socket-table.ts";

const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const rest = "00000000:00000000 00:00000000 00000000 0 0 1 1 0";

describe("the kernel's table of sockets", () => {
  it("tells the connections to one port", () => {
    const table = [
      `   0: 00000000:2328 00000000:0000 0A ${rest}`,
      `   1: 0200000A:2328 0700000A:D431 01 ${rest}`,
      `   2: 0200000A:2328 0800000A:D431 06 ${rest}`,
      `   3: 0200000A:D431 0700000A:2328 01 ${rest}`,
      `   4: 0200000A:2329 0700000A:D432 01 ${rest}`,
    ].join("\n");
    assert.deepEqual(connectionsAt(head + table, 9000), [{ address: "10.0.0.7", key: "0200000A:2328 0700000A:D431" }]);
  });

  it("tells IPv6 addresses in full, and mapped ones as IPv4", () => {
    const local = "0000000000000000FFFF00000200000A:2328";
    const table = [
      `   0: ${local} 0000000000000000FFFF00000700000A:D431 01 ${rest}`,
      `   1: ${local} 000077FD000000000000000001000000:D431 01 ${rest}`,
      `   2: ${local} 00000000000000000000000001000000:D431 01 ${rest}`,
    ].join("\n");
    const addresses = connectionsAt(head + table, 9000).map(({ address }) => address);
    assert.deepEqual(addresses, ["10.0.0.7", "fd77:0:0:0:0:0:0:1", "0:0:0:0:0:0:0:1"]);
  });
});

describe("callers that pass the agent by", () => {
  const stops: (() => unknown)[] = [];
  afterEach(() => {
    for (const stop of stops.splice(0)) stop();
  });

  async function serve(): Promise<number> {
    const sockets = new Set<Socket>();
    const server: Server = createServer((socket) => void sockets.add(socket)).listen(0, "0.0.0.0");
    stops.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }

  async function dial(port: number, localAddress: string): Promise<Socket> {
    const socket = connect({ port, host: "127.0.0.1", localAddress });
    stops.push(() => socket.destroy());
    await once(socket, "connect");
    return socket;
  }

  const closed = async (socket: Socket) => {
    socket.resume().end();
    socket.destroy();
    await once(socket, "close");
  };

  it("are seen by their connections, once they have stayed; the pod's own are none", async () => {
    const port = await serve();
    // This machine has no other address for certain, so 127.0.0.1 alone is the pod here.
    const callers = new DirectCallers({ port, isOwn: (address) => address === "127.0.0.1", logger: silentLogger });
    await dial(port, "127.0.0.1");
    const first = await dial(port, "127.0.0.5");
    await callers.look();
    assert.deepEqual(callers.peers(), [], "seen once only: it may be a probe");
    await callers.look();
    const past = { authority: "127.0.0.5 (past the agent)", direction: "inbound" };
    assert.deepEqual(callers.peers(), [{ ...past, calls: 1, openCalls: 1 }]);
    await dial(port, "127.0.0.5");
    await callers.look();
    await callers.look();
    assert.deepEqual(callers.peers(), [{ ...past, calls: 2, openCalls: 2 }]);
    await closed(first);
    await callers.look();
    assert.deepEqual(callers.peers(), [{ ...past, calls: 2, openCalls: 1 }]);
  });

  it("are not what connects and goes, as probes do", async () => {
    const port = await serve();
    const callers = new DirectCallers({ port, isOwn: () => false, logger: silentLogger });
    for (let probe = 0; probe < 3; probe += 1) {
      const socket = await dial(port, "127.0.0.5");
      await callers.look();
      await closed(socket);
      await callers.look();
    }
    assert.deepEqual(callers.peers(), []);
  });

  it("are not the machine itself, by whatever address", () => {
    const isOwn = ownAddresses();
    const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
    for (const { address } of own) assert.ok(isOwn(address), address);
    assert.ok(isOwn("127.0.0.9"));
    assert.ok(isOwn("0:0:0:0:0:0:0:1"), "as the kernel writes it");
    assert.ok(!isOwn("203.0.113.7"));
    assert.ok(!isOwn("fd77:0:0:0:0:0:0:1"));
  });
});
