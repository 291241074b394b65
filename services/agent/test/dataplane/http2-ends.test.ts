import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { after, describe, it } from "node:test";
import type { AcceptedConnection, CallEvents, Http2Server } from "@cutline/h2";
import { createLeanClient } from "@cutline/h2";
import { requestHeaders, until } from "@cutline/h2/testing";
import { silentLogger } from "@cutline/runtime";
import { createHttp2Ends } from "../../src/dataplane/http2-ends.ts";

const opened: (() => unknown)[] = [];
after(async () => {
  for (const close of opened.reverse()) await close();
});

const noEvents: CallEvents = {
  onHeaders() {},
  onData() {},
  onTrailers() {},
  onEnd() {},
  onReset() {},
  onDrain() {},
};

/** Takes every call, and reads nothing of it. */
const unread: AcceptedConnection = {
  onCall(stream) {
    stream.pause();
    return noEvents;
  },
};

async function serve(accept: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined); // Its end is what the tests look at.
    accept(socket);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  opened.push(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  return (listener.address() as AddressInfo).port;
}

async function clientOf(server: Http2Server) {
  const port = await serve((socket) => server.accept(socket, unread));
  const client = createLeanClient({ host: "127.0.0.1", port });
  opened.push(() => client.close(0));
  return client;
}

async function ends(heldBytesMax: number) {
  /** Accepts connections and never says a word: what is sent to it waits. */
  const mutePort = await serve(() => undefined);
  const made = createHttp2Ends({
    applicationAddress: `127.0.0.1:${mutePort}`,
    heldBytesMax,
    isLeaving: () => true,
    now: () => performance.now(),
    logger: silentLogger,
  });
  opened.push(() => made.applicationClient.close(0));
  return made;
}

describe("the HTTP/2 ends of an agent", () => {
  for (const side of ["inboundServer", "outboundServer"] as const) {
    it(`count what the ${side} holds in the common budget`, async () => {
      const { held, [side]: server } = await ends(1024 * 1024);
      const client = await clientOf(server);
      const stream = client.open(requestHeaders, false, noEvents);
      stream.write(Buffer.alloc(10_000));
      await until("what nobody reads is held", () => held.bytes === 10_000);
      stream.reset(8);
      await until("nothing is held", () => held.bytes === 0);
    });
  }

  it("close the connection that holds the most when both servers together hold too much", async () => {
    const { held, inboundServer, outboundServer } = await ends(100_000);
    const [inbound, outbound] = [await clientOf(inboundServer), await clientOf(outboundServer)];
    const resets: string[] = [];
    const open = (client: typeof inbound, name: string) =>
      client.open(requestHeaders, false, { ...noEvents, onReset: () => resets.push(name) });
    open(outbound, "outbound").write(Buffer.alloc(45_000));
    await until("half of it is held", () => held.bytes === 45_000);
    open(inbound, "inbound").write(Buffer.alloc(60_000));
    await until("one has given up", () => held.givenUp === 1 && resets.length > 0);
    assert.deepEqual(resets, ["inbound"]);
    assert.equal(held.bytes, 45_000);
  });
});
