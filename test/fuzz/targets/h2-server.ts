import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { HeldBytes } from "../../../packages/h2/src/held-bytes.ts";
import { createLeanServer } from "../../../packages/h2/src/lean/server.ts";
import { wire } from "../../../packages/h2/test/support/wire.ts";
import { choicesOf, piecesOf } from "../engine/inputs.ts";
import type { Target } from "../engine/target.ts";
import { checkWritten, FakeSocket, FuzzedCall } from "./support/h2-end.ts";
import { traffic } from "./support/h2-traffic.ts";

const greeting = Buffer.concat([wire.preface, wire.settings()]);
const limits = {
  concurrentStreamsMax: 3,
  streamWindowBytes: 20_000,
  connectionWindowBytes: 70_000,
  headerListBytesMax: 4_000,
};
/** Few enough that some connections are closed for it. */
const heldBytesMax = 30_000;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A whole connection from a client: each call sees its events in order, and what we send is HTTP/2 to its last octet. */
export const target: Target = {
  name: "h2-server",
  testExecutions: 100_000,
  samples: () => [
    wire.headers(1, [":method", "POST", ":scheme", "http", ":path", "/", ":authority", "a"]),
    Buffer.concat([
      wire.headers(1, [":method", "GET", ":scheme", "http", ":path", "/"]),
      wire.data(1, "data", true),
      wire.ping("x"),
    ]),
  ],
  generate: (random) => traffic(random, "server"),
  open: () => {
    const held = new HeldBytes(heldBytesMax);
    const server = createLeanServer(limits, undefined, held);
    return {
      async run(input) {
        const choices = choicesOf(input);
        const socket = new FakeSocket(choices);
        const calls: FuzzedCall[] = [];
        let closed = 0;
        server.accept(socket as unknown as Socket, {
          onCall(stream) {
            const call = new FuzzedCall(choices, true);
            call.stream = stream;
            calls.push(call);
            call.act();
            return call;
          },
          onClose() {
            closed += 1;
          },
        });
        if (!choices.happens(0.03)) socket.emit("data", greeting);
        for (const piece of piecesOf(input, choices)) {
          if (!socket.destroyed) socket.emit("data", piece);
          if (choices.happens(0.03)) await turn();
          for (const call of calls) call.act();
        }
        await turn();
        if (choices.happens(0.3)) socket.emit("end");
        socket.destroy();
        await turn();
        await turn();
        assert.deepEqual([server.openStreams, closed, held.bytes], [0, 1, 0]);
        checkWritten(socket.written, "client");
      },
      close: () => server.close(0),
    };
  },
};
