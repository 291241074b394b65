import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { until } from "./compliance/adapters.ts";
import { lean } from "./support/both.ts";
import { RawPeer } from "./support/raw-peer.ts";
import { request } from "./support/requests.ts";
import { type TrivialServer, trivialServer } from "./support/trivial-server.ts";
import { block, wire } from "./support/wire.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function bufferBytes(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

const paused = block(request("/paused"));
const mebibyte = 1024 * 1024;

async function withPeer(test: (peer: RawPeer, server: TrivialServer) => Promise<void>): Promise<void> {
  const server = await trivialServer(lean);
  const peer = await RawPeer.connect(server.port);
  try {
    await test(peer, server);
  } finally {
    peer.destroy();
    await server.close();
  }
}

describe("what is held of calls that nobody reads", () => {
  for (const size of [1, 10, 300]) {
    it(`takes little more memory than its bytes when it comes in frames of ${size}`, async () => {
      await withPeer(async (peer) => {
        peer.send(wire.headers(1, paused));
        await peer.settled();
        const frames = Buffer.concat(Array.from({ length: 2_000 }, () => wire.data(1, Buffer.alloc(size))));
        const before = bufferBytes();
        let held = 0;
        for (; held < 200_000; held += 2_000 * size) await peer.sendAll(frames);
        await peer.settled();
        peer.frames = [];
        // What was read from sockets and is not held goes with one of the next collections.
        const most = 4 * held + mebibyte;
        await until(`at most ${most} bytes of memory for ${held} bytes`, () => bufferBytes() - before < most);
      });
    });
  }

  it("stays below the bound of the connection, whose window then opens no further", async () => {
    await withPeer(async (peer, server) => {
      const streams = 80;
      for (let i = 0; i < streams; i += 1) peer.send(wire.headers(2 * i + 1, paused));
      await peer.settled();
      const piece = Buffer.alloc(16_384);
      let sent = 0;
      for (let i = 0; i < streams && !peer.isClosed; i += 1) {
        for (let k = 0; k < 64; k += 1) {
          await peer.sendAll(wire.data(2 * i + 1, piece));
          sent += piece.length;
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      await peer.closed();
      assert.deepEqual(peer.errors, ["goaway flowControlError"]);
      assert.ok(
        sent > 64 * mebibyte && server.calls.length === streams,
        `${sent} bytes on ${server.calls.length} streams`,
      );
    });
  });
});
