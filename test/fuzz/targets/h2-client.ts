import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { HeldBytes } from "../../../packages/h2/src/held-bytes.ts";
import { Connection } from "../../../packages/h2/src/lean/connection.ts";
import { Stream } from "../../../packages/h2/src/lean/stream.ts";
import { defaultHttp2Limits } from "../../../packages/h2/src/port.ts";
import { wire } from "../../../packages/h2/test/support/wire.ts";
import { choicesOf, piecesOf } from "../engine/inputs.ts";
import type { Target } from "../engine/target.ts";
import { checkWritten, FakeSocket, FuzzedCall } from "./support/h2-end.ts";
import { traffic } from "./support/h2-traffic.ts";

const limits = {
  ...defaultHttp2Limits,
  streamWindowBytes: 20_000,
  connectionWindowBytes: 70_000,
  headerListBytesMax: 4_000,
};
const request = [":method", "POST", ":scheme", "http", ":path", "/a.B/C", ":authority", "a", "te", "trailers"];
const callsMax = 4;
/** So few that calls are reset for them. */
const heldBytesFew = 2_000;
/** A few of them in a row are too long for whatever is waited for. */
const sweepMs = 8_000;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A whole connection to a server: each call ends exactly once, and what we send is HTTP/2 to its last octet. */
export const target: Target = {
  name: "h2-client",
  testExecutions: 100_000,
  samples: () => [
    wire.headers(1, [":status", "200"]),
    Buffer.concat([
      wire.headers(1, [":status", "200"]),
      wire.data(1, "data"),
      wire.headers(1, ["grpc-status", "0"], { endStream: true }),
    ]),
  ],
  generate: (random) => traffic(random, "client"),
  open: () => ({
    async run(input) {
      const choices = choicesOf(input);
      const socket = new FakeSocket(choices);
      const held = new HeldBytes(choices.happens(0.3) ? heldBytesFew : undefined);
      const calls: { call: FuzzedCall; stream: Stream }[] = [];
      let closed = 0;
      const open = () => {
        while (calls.length < callsMax && connection.hasRoom) {
          const call = new FuzzedCall(choices, false);
          const stream = Stream.waiting(request, choices.happens(0.5), call, () => {});
          call.stream = stream;
          calls.push({ call, stream });
          connection.open(stream);
        }
      };
      const connection = new Connection("client", socket as unknown as Duplex, limits, held, {
        onStream() {
          throw new Error("a server has opened a stream");
        },
        onReady: open,
        onRoomChanged: open,
        onClosed() {
          closed += 1;
        },
      });
      if (!choices.happens(0.03)) socket.emit("data", wire.settings());
      for (const piece of piecesOf(input, choices)) {
        if (!socket.destroyed) socket.emit("data", piece);
        if (choices.happens(0.03)) await turn();
        for (const { call } of calls) call.act();
        if (choices.happens(0.03)) connection.sweep(sweepMs);
      }
      await turn();
      if (choices.happens(0.3)) socket.emit("end");
      socket.destroy();
      await turn();
      await turn();
      assert.deepEqual([connection.openStreams, closed, held.bytes], [0, 1, 0]);
      for (const { call, stream } of calls) assert.ok(stream.isOver && call.isOver, "a call has not ended");
      checkWritten(socket.written, "server");
    },
    close() {},
  }),
};
