import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { createLeanClient, createLeanServer, HeldBytes, ResetCode } from "../src/index.ts";
import { Recorder, until } from "./compliance/adapters.ts";
import { rawAnswer, rawClient } from "./compliance/raw-peers.ts";
import { RawPeer, rawListener } from "./support/raw-peer.ts";
import { request } from "./support/requests.ts";
import { type TrivialServer, trivialServer } from "./support/trivial-server.ts";
import { block, settingId, wire } from "./support/wire.ts";

const mebibyte = 1024 * 1024;
const paused = block(request("/paused"));
const piece = Buffer.alloc(16_384);

const opened: (() => unknown)[] = [];
after(async () => {
  for (const close of opened.reverse()) await close();
});

async function serve(held: HeldBytes): Promise<TrivialServer> {
  const createServer = (limits = {}) => createLeanServer(limits, undefined, held);
  const server = await trivialServer({ name: "lean", createServer, createClient: createLeanClient }, {}, 10);
  opened.push(() => server.close());
  return server;
}

async function dial(server: TrivialServer): Promise<RawPeer> {
  const peer = await RawPeer.connect(server.port);
  opened.push(() => peer.destroy());
  return peer;
}

/** Sends so many bytes that nobody reads, as far as it may. */
async function burden(peer: RawPeer, bytes: number): Promise<void> {
  peer.send(wire.headers(1, paused));
  for (let sent = 0; sent < bytes && !peer.isClosed; sent += piece.length) await peer.sendAll(wire.data(1, piece));
}

describe("what all connections hold together", () => {
  it("costs the one that holds the most its connection, and nobody else", async () => {
    const held = new HeldBytes(mebibyte);
    const server = await serve(held);
    const others = await Promise.all(Array.from({ length: 8 }, () => dial(server)));
    for (const peer of others) await burden(peer, 4 * piece.length);
    for (const peer of others) await peer.settled();
    assert.equal(held.bytes, 8 * 4 * piece.length);
    const biggest = await dial(server);
    await burden(biggest, mebibyte);
    await biggest.closed();
    assert.deepEqual(biggest.errors, ["goaway enhanceYourCalm"]);
    assert.equal(held.givenUp, 1);
    for (const peer of others) assert.deepEqual([await peer.settled(), peer.errors], ["open", []]);
    assert.equal(held.bytes, 8 * 4 * piece.length);
    for (const peer of others) peer.destroy();
    await until("nothing is held", () => held.bytes === 0);
  });

  it("stays bounded when very many connections hold a little each, and who holds nothing goes on", {
    timeout: 60_000,
  }, async () => {
    const held = new HeldBytes(mebibyte);
    const server = await serve(held);
    const honest = rawClient(server.port);
    opened.push(() => honest.destroy());
    let mostBytes = 0;
    const peers: RawPeer[] = [];
    for (let i = 0; i < 300; i += 1) {
      const peer = await dial(server);
      peers.push(peer);
      await burden(peer, 3 * piece.length);
      mostBytes = Math.max(mostBytes, held.bytes);
      if (i % 10 > 0) continue;
      const answer = await rawAnswer(honest.request(request("/done"), { endStream: true }));
      assert.equal(answer.code, 0);
    }
    await until("there is room", () => held.bytes <= held.bytesMax);
    const sentBytes = 300 * 3 * piece.length;
    assert.ok(sentBytes > 10 * mebibyte);
    // What one turn of the event loop reads may be too much before something is given up.
    assert.ok(mostBytes < 2 * mebibyte, `${mostBytes} bytes were held`);
    await until("the others have gone", () => server.sockets.size <= mebibyte / (3 * piece.length) + 2);
    const closed = peers.filter(({ isClosed }) => isClosed);
    assert.ok(closed.every(({ errors }) => errors.join() === "goaway enhanceYourCalm" || errors.length === 0));
  });

  it("counts answers that are not taken, and frames and header blocks that have not all come", async () => {
    const held = new HeldBytes();
    const server = await serve(held);
    const reader = await dial(server);
    reader.send(wire.settings([settingId.initialWindowSize, 1_000]), wire.headers(1, block(request("/large"))));
    await until("an answer that waits", () => held.bytes === mebibyte - 1_000);
    reader.send(wire.windowUpdate(1, 500));
    await until("less of it", () => held.bytes === mebibyte - 1_500);
    reader.send(wire.reset(1, 8));
    await until("none of it", () => held.bytes === 0);
    const long = wire.headers(3, Buffer.alloc(10_000), { endHeaders: false });
    reader.send(long.subarray(0, 9));
    reader.send(long.subarray(9, 100));
    await until("a frame that has begun", () => held.bytes === 10_009);
    reader.send(long.subarray(100));
    await until("a block that has begun", () => held.bytes === 10_000);
    reader.destroy();
    await until("nothing is held", () => held.bytes === 0);
  });

  it("costs one who shares a connection with others its own largest calls", async () => {
    const held = new HeldBytes(200_000);
    const listener = await rawListener((peer) => peer.send(wire.settings([settingId.initialWindowSize, 0])));
    opened.push(() => listener.close());
    const client = createLeanClient({ host: "127.0.0.1", port: listener.port, held });
    opened.push(() => client.close(0));
    const calls = [1_000, 150_000, 2_000, 100_000].map((bytes) => {
      const events = new Recorder();
      const stream = client.open(request(), false, events);
      stream.write(Buffer.alloc(bytes));
      return events;
    });
    await until("the largest is over", () => calls[1]?.reset !== undefined);
    assert.deepEqual(
      calls.map(({ reset }) => reset?.code),
      [undefined, ResetCode.enhanceYourCalm, undefined, undefined],
    );
    assert.deepEqual([held.bytes, held.givenUp], [103_000, 1]);
    assert.equal(listener.peers[0]?.isClosed, false);
    await until("the server has heard of it", () => listener.peers[0]?.errors.join() === "rst 3 enhanceYourCalm");
  });
});
