import assert from "node:assert/strict";
import { Flag, FrameType } from "../../src/frames/constants.ts";
import { request } from "../support/requests.ts";
import { block, frame, integer, settingId, text, wire } from "../support/wire.ts";
import { type Attack, flood } from "./attack.ts";

const { headers, data, reset, windowUpdate, priority, settings } = wire;

const open = block(request());
const ended = { endStream: true };
const id = (i: number) => 2 * i + 1;

/** A stream is opened, and something is done that makes us reset it. */
function madeYouReset(name: string, misdeed: (streamId: number) => Buffer, options = {}, fields = open): Attack {
  return {
    name: `MadeYouReset: ${name}`,
    ends: "enhanceYourCalm",
    run: (peer) => flood(peer, 20_000, (i) => Buffer.concat([headers(id(i), fields, options), misdeed(id(i))])),
    check: (_peer, server) => assert.ok(server.total() < 3_000, `${server.total()} calls`),
  };
}

function frameFlood(name: string, ends: Attack["ends"], bytes: Buffer, times = 20_000): Attack {
  return {
    name: `${name} flood`,
    ends,
    async run(peer) {
      peer.send(headers(1, open));
      await flood(peer, times, () => bytes);
    },
  };
}

/** Floods of frames: those that cost more than they say end the connection, the others cost what they weigh. */
export const floods: readonly Attack[] = [
  {
    name: "rapid reset",
    ends: "enhanceYourCalm",
    run: (peer) => flood(peer, 50_000, (i) => Buffer.concat([headers(id(i), open), reset(id(i), 8)])),
    // As many as may be open, 1,000 more, and those of the honest client.
    check: (_peer, server) => assert.ok(server.total() < 3_500, `${server.total()} calls`),
  },
  {
    name: "all calls that may be open are cancelled at once, twice",
    ends: "open",
    async run(peer) {
      for (let round = 0; round < 2; round += 1) {
        const ids = Array.from({ length: 1_000 }, (_, i) => id(i + 1_000 * round));
        await peer.sendAll(Buffer.concat(ids.map((one) => headers(one, open, ended))));
        await peer.sendAll(Buffer.concat(ids.map((one) => reset(one, 8))));
      }
    },
  },
  {
    name: "every second call is cancelled, as hedging does",
    ends: "open",
    run: (peer) =>
      flood(peer, 10_000, (i) =>
        Buffer.concat([
          headers(id(2 * i), block(request("/done")), ended),
          headers(id(2 * i + 1), open, ended),
          reset(id(2 * i + 1), 8),
        ]),
      ),
  },
  {
    name: "calls that are cancelled when their answer has begun",
    ends: "open",
    async run(peer) {
      for (let i = 0; i < 4_000; i += 200) {
        const ids = Array.from({ length: 200 }, (_, k) => id(i + k));
        peer.send(...ids.map((one) => headers(one, block(request("/begun")), ended)));
        await peer.settled();
        peer.frames = [];
        peer.send(...ids.map((one) => reset(one, 8)));
      }
    },
  },
  madeYouReset("WINDOW_UPDATE of 0", (one) => windowUpdate(one, 0)),
  madeYouReset("a window that overflows", (one) => windowUpdate(one, 0x7fff_ffff)),
  madeYouReset("DATA behind the end", (one) => data(one, "x"), ended),
  madeYouReset("HEADERS behind the end", (one) => headers(one, ["a", "b"], ended), ended),
  madeYouReset("PRIORITY of 4 octets", (one) => frame(FrameType.priority, 0, one, [0, 0, 0, 0])),
  madeYouReset(
    "more than content-length",
    (one) => data(one, "xx"),
    {},
    block(request("/open", "content-length", "1")),
  ),
  madeYouReset("trailers that do not end", (one) => headers(one, ["a", "b"])),
  madeYouReset("a request that is none", () => Buffer.alloc(0), {}, block(["a", "b"])),
  {
    name: "CONTINUATION flood, 16 KiB each",
    ends: "enhanceYourCalm",
    async run(peer) {
      peer.send(headers(1, open, { endHeaders: false }));
      await flood(peer, 2_000, () => wire.continuation(1, Buffer.alloc(16_384), false));
    },
  },
  {
    name: "CONTINUATION flood, nothing in each",
    ends: "enhanceYourCalm",
    async run(peer) {
      peer.send(headers(1, open, { endHeaders: false }));
      await flood(peer, 20_000, () => wire.continuation(1, [], false));
    },
  },
  frameFlood("PING, the answers read", "open", wire.ping("x")),
  frameFlood("answers to no PING", "open", frame(FrameType.ping, Flag.ack, 0, Buffer.alloc(8))),
  frameFlood("SETTINGS", "enhanceYourCalm", settings()),
  frameFlood("acknowledging SETTINGS", "open", wire.settingsAck),
  frameFlood("WINDOW_UPDATE", "open", windowUpdate(1, 1)),
  frameFlood("RST_STREAM on a stream that has closed", "open", reset(1, 8)),
  frameFlood("PRIORITY", "enhanceYourCalm", priority(1)),
  frameFlood("PRIORITY of 4 octets on no stream", "enhanceYourCalm", frame(FrameType.priority, 0, 9, [0, 0, 0, 0])),
  frameFlood("unknown frame", "enhanceYourCalm", frame(0xee, 0, 0, Buffer.alloc(100))),
  frameFlood("empty DATA", "enhanceYourCalm", data(1)),
  frameFlood(
    "DATA of padding",
    "enhanceYourCalm",
    frame(FrameType.data, Flag.padded, 1, Buffer.from([200, ...Buffer.alloc(200)])),
  ),
  frameFlood("DATA on a stream that has closed", "open", Buffer.concat([reset(1, 8), data(1, "x")])),
  frameFlood("GOAWAY", "open", wire.goaway(0, 0)),
  {
    name: "SETTINGS that move the windows of 1,000 streams up and down",
    ends: "enhanceYourCalm",
    async run(peer) {
      await flood(peer, 1_000, (i) => headers(id(i), open));
      const changes = Array.from({ length: 32 }, (_, k) => [settingId.initialWindowSize, 1 + (k % 2)] as const);
      await flood(peer, 2_000, () => settings(...changes));
    },
  },
  {
    name: "DATA of one octet each, given back",
    ends: "open",
    async run(peer) {
      peer.countsOnly = true;
      peer.send(
        headers(1, block(request("/echo"))),
        settings([settingId.initialWindowSize, 0x7fff_ffff]),
        windowUpdate(0, 0x7000_0000),
      );
      await flood(peer, 20_000, () => data(1, "x"));
      peer.countsOnly = false;
    },
  },
  {
    name: "header bomb: one octet says 4 KB again",
    ends: "enhanceYourCalm",
    async run(peer) {
      peer.send(headers(1, Buffer.concat([open, Buffer.from([0x40]), text("a"), text("x".repeat(4_000))])));
      const bomb = Buffer.concat([open, Buffer.alloc(10_000, 0xbe)]);
      await flood(peer, 3_000, (i) => headers(id(i + 1), bomb));
    },
  },
  {
    name: "header bomb: as many small headers as there is room for",
    ends: "enhanceYourCalm",
    run: (peer) => flood(peer, 3_000, (i) => headers(id(i), Buffer.concat([open, Buffer.alloc(2_000, 0x82)]))),
  },
  {
    name: "header bomb: headers that are too long",
    ends: "enhanceYourCalm",
    limits: { headerListBytesMax: 4_096 },
    run: (peer) =>
      flood(peer, 3_000, (i) => {
        const long = block(request("/open", "a", "x".repeat(4_000), "b", "y".repeat(600)));
        const pieces = [0, 1, 2, 3, 4].map((k) => long.subarray(1_000 * k, 1_000 * (k + 1)));
        return Buffer.concat(
          pieces.map((piece, k) =>
            k === 0
              ? headers(id(i), piece, { endHeaders: false })
              : wire.continuation(id(i), piece, k === pieces.length - 1),
          ),
        );
      }),
  },
  {
    name: "HPACK table games: entries that evict each other, and sizes that go up and down",
    ends: "open",
    async run(peer) {
      const update = (size: number) => integer(size, 0x20, 5);
      await flood(peer, 5_000, (i) => {
        const entry = Buffer.concat([Buffer.from([0x40]), text("a"), text(String(i).repeat(i % 700))]);
        const sizes = i % 2 === 0 ? Buffer.concat([update(0), update(4096)]) : Buffer.concat([update(i % 4096)]);
        const call = headers(id(i), Buffer.concat([sizes, block(request("/done")), entry]), ended);
        return call;
      });
    },
  },
];
