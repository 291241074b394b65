import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { after, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { shareConnections } from "../src/index.ts";
import { certificateOf } from "../src/testing/index.ts";

const share = { connectionsMax: 5, connectionsPerAddressMax: 2 };
const timeout = 20_000;

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A server that greets whom it takes. */
async function greeting(): Promise<number> {
  // A connection stays until its client ends it.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    if (!socket.destroyed) socket.resume().end("welcome");
  });
  shareConnections(server, share);
  return await listen(server);
}

interface Client {
  readonly socket: Socket;
  readonly heard: Promise<string>;
}

function clientOf(port: number, localAddress: string): Client {
  const socket = connect({ port, host: "127.0.0.1", localAddress, allowHalfOpen: true });
  after(() => socket.destroy());
  let text = "";
  const heard = new Promise<string>((resolve) => {
    socket.on("data", (bytes) => {
      text += String(bytes);
    });
    socket.on("error", () => resolve(text));
    socket.on("end", () => resolve(text));
  });
  return { socket, heard };
}

describe("connections of an address", () => {
  it("are closed beyond its share, and those of others are not", { timeout }, async () => {
    const port = await greeting();
    const first = [clientOf(port, "127.0.0.2"), clientOf(port, "127.0.0.2")];
    for (const { heard } of first) assert.equal(await heard, "welcome");
    assert.equal(await clientOf(port, "127.0.0.2").heard, "");
    assert.equal(await clientOf(port, "127.0.0.3").heard, "welcome");
  });

  it("make room when they end", { timeout }, async () => {
    const port = await greeting();
    const [one, other] = [clientOf(port, "127.0.0.2"), clientOf(port, "127.0.0.2")];
    assert.deepEqual([await one.heard, await other.heard], ["welcome", "welcome"]);
    one.socket.end();
    // The server hears of the end some time later.
    while ((await clientOf(port, "127.0.0.2").heard) !== "welcome");
  });

  it("are closed before TLS is spoken on them, and the server goes on", { timeout }, async () => {
    const { certificate: cert, key } = certificateOf("coordinator");
    const server = createHttpsServer({ cert, key });
    shareConnections(server, { connectionsMax: 5, connectionsPerAddressMax: 1 });
    const port = await listen(server);
    const first = clientOf(port, "127.0.0.2");
    await once(first.socket, "connect");
    for (let count = 0; count < 20; count += 1) assert.equal(await clientOf(port, "127.0.0.2").heard, "");
    first.socket.destroy();
    while (!(await shakesHands(port, "127.0.0.2")));
  });
});

async function shakesHands(port: number, localAddress: string): Promise<boolean> {
  const socket = connect({ port, host: "127.0.0.1", localAddress });
  const secured = connectTls({ socket, rejectUnauthorized: false });
  after(() => secured.destroy());
  return await new Promise((resolve) => {
    secured.once("secureConnect", () => resolve(true));
    secured.on("error", () => resolve(false));
  });
}
