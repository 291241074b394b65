import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { preface } from "../../src/frames/constants.ts";
import { until } from "../compliance/adapters.ts";
import type { RawPeer } from "../support/raw-peer.ts";
import { request } from "../support/requests.ts";
import type { TrivialServer } from "../support/trivial-server.ts";
import { block, settingId, wire } from "../support/wire.ts";
import { type Attack, flood } from "./attack.ts";

const { headers, data, settings, windowUpdate } = wire;
const id = (i: number) => 2 * i + 1;
const open = block(request());
const large = block(request("/large"));
const ended = { endStream: true };
const noBytes = Buffer.alloc(0);
const handshake = { handshakeTimeoutMs: 200 };

/** Bytes that the server's sockets hold because a peer does not read them. */
function unreadBytes(server: TrivialServer): number {
  return Math.max(...[...server.sockets].map((socket) => socket.writableLength));
}

/** The most that any socket of the server held while `run` went on. */
async function mostUnread(server: TrivialServer, run: Promise<void>): Promise<number> {
  let most = 0;
  let running = true;
  const look = async () => {
    while (running) {
      most = Math.max(most, unreadBytes(server));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const looking = look();
  await run;
  running = false;
  await looking;
  return most;
}

/** The server lets the connection go although nobody reads; only the honest one is left. */
async function cutOff(peer: RawPeer, server: TrivialServer): Promise<void> {
  await until("the server lets it go", () => server.sockets.size === 1);
  peer.socket.resume();
}

/** One turn's DATA, what is behind the limit, and the answers to what one read brings. */
const unreadBytesMax = 2 * 1024 * 1024;

const clientHello = Buffer.from(
  "16030100a5010000a10303000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20e0e1e2e3e4e5e6e7e8e9eaebecedeeef",
  "hex",
);

async function openUntilRefused(peer: RawPeer): Promise<void> {
  await flood(peer, 5_000, (i) => headers(id(i), open));
}

/** Those who wait, do not read, or say nothing that makes sense. */
export const patience: readonly Attack[] = [
  { name: "nothing is sent", ends: "closed", limits: handshake, greeting: noBytes, run: () => {} },
  { name: "half a preface", ends: "closed", limits: handshake, greeting: preface.subarray(0, 10), run: () => {} },
  { name: "a preface, and no SETTINGS", ends: "closed", limits: handshake, greeting: preface, run: () => {} },
  {
    name: "a preface octet by octet, and no end of it",
    ends: "closed",
    limits: handshake,
    greeting: noBytes,
    async run(peer) {
      for (const octet of preface.subarray(0, 23)) await peer.sendAll(Buffer.from([octet]));
    },
  },
  {
    name: "a header block that does not come to its end",
    ends: "enhanceYourCalm",
    limits: { headerBlockTimeoutMs: 200 },
    async run(peer) {
      peer.send(headers(1, open.subarray(0, 4), { endHeaders: false }));
      let at = 4;
      await until("the server has had enough", () => {
        // An octet now and then, as who wants to stay would send.
        if (at < 40 && !peer.isClosed && Math.random() < 0.02)
          peer.send(wire.continuation(1, open.subarray(at, ++at), false));
        return peer.isClosed;
      });
    },
  },
  {
    name: "one HEADERS frame, octet by octet",
    ends: "enhanceYourCalm",
    limits: { headerBlockTimeoutMs: 200 },
    async run(peer) {
      const slow = headers(1, open);
      let at = 0;
      await until("the server has had enough", () => {
        if (at < slow.length - 1 && !peer.isClosed && Math.random() < 0.02) peer.send(slow.subarray(at, ++at));
        return peer.isClosed;
      });
    },
    check: (peer) => assert.ok(peer.receivedBytes < 1_000),
  },
  { name: "garbage", ends: "protocolError", greeting: randomBytes(100_000), run: () => {} },
  { name: "TLS", ends: "protocolError", greeting: clientHello, run: () => {} },
  {
    name: "HTTP/1.1",
    ends: "protocolError",
    greeting: Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    run: () => {},
  },
  {
    name: "garbage behind the preface",
    ends: "protocolError",
    greeting: Buffer.concat([preface, Buffer.alloc(50_000, 0x55)]),
    run: () => {},
  },
  {
    name: "it goes away in the middle of a frame",
    ends: "closed",
    run(peer) {
      peer.send(headers(1, open), data(1, Buffer.alloc(1_000)).subarray(0, 500));
      peer.socket.end();
    },
    check: (_peer, server) =>
      assert.equal(server.calls.find(({ path }) => path === "/open")?.events.reset?.cause, "connection"),
  },
  {
    name: "streams that are opened and left alone",
    ends: "enhanceYourCalm",
    run: openUntilRefused,
    check: (_peer, server) => assert.ok(server.http2Server.openStreams < 1_100),
  },
  {
    name: "PING flood, the answers not read",
    ends: "cut",
    async run(peer, server) {
      peer.socket.pause();
      const most = await mostUnread(
        server,
        flood(peer, 600_000, () => wire.ping("x")),
      );
      assert.ok(most < unreadBytesMax, `${most} bytes were held`);
      await cutOff(peer, server);
    },
  },
  {
    name: "short answers that are not read",
    ends: "cut",
    async run(peer, server) {
      peer.socket.pause();
      const call = headers(0, block(request("/long")), ended);
      const most = await mostUnread(
        server,
        flood(peer, 60_000, (i) => {
          call.writeUInt32BE(id(i), 5);
          return Buffer.from(call);
        }),
      );
      assert.ok(most < unreadBytesMax, `${most} bytes were held`);
      await cutOff(peer, server);
    },
  },
  {
    name: "large answers that are not read",
    ends: "open",
    async run(peer, server) {
      peer.send(settings([settingId.initialWindowSize, 0x7fff_ffff]), windowUpdate(0, 0x7000_0000));
      peer.socket.pause();
      const most = await mostUnread(
        server,
        flood(peer, 200, (i) => headers(id(i), large, ended)),
      );
      assert.ok(most < unreadBytesMax, `${most} bytes were held`);
      peer.countsOnly = true;
      peer.receivedBytes = -200 * 1024 * 1024 - 1024 * 1024;
      peer.socket.resume();
      await until("every answer has come", () => server.http2Server.openStreams <= 1);
      peer.countsOnly = false;
    },
  },
  {
    name: "large answers into a window of 0",
    ends: "open",
    async run(peer, server) {
      peer.send(settings([settingId.initialWindowSize, 0]));
      await flood(peer, 200, (i) => headers(id(i), large, ended));
      await peer.settled();
      assert.ok(peer.frames.every(({ type }) => type !== 0));
      assert.ok(server.http2Server.openStreams >= 200);
    },
  },
  {
    name: "large answers into windows that open by 1",
    ends: "open",
    async run(peer) {
      peer.send(settings([settingId.initialWindowSize, 0]));
      await flood(peer, 100, (i) => headers(id(i), large, ended));
      await flood(peer, 20_000, (i) => windowUpdate(id(i % 100), 1));
      await peer.settled();
      const sent = peer.frames.filter(({ type }) => type === 0).reduce((sum, { payload }) => sum + payload.length, 0);
      assert.equal(sent, 20_000);
    },
  },
];
