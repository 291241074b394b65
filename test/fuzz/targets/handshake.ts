import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { FrameError } from "../../../services/agent/src/dataplane/link/codec.ts";
import { FrameConnection } from "../../../services/agent/src/dataplane/link/handshake.ts";
import { choicesOf, piecesOf } from "../engine/inputs.ts";
import { defaultTestExecutions, type Target } from "../engine/target.ts";
import { anyHandshake, handshakes } from "./support/hellos.ts";

/** As much of a socket as a connection of frames uses. */
class FakeSocket extends EventEmitter {
  destroyed = false;

  setNoDelay(): void {}
  setTimeout(): void {}
  write(): boolean {
    return true;
  }
  end(): void {}

  destroy(error?: Error): void {
    if (this.destroyed) return;
    this.destroyed = true;
    if (error !== undefined) this.emit("error", error);
    this.emit("close");
  }
}

/** `FrameConnection`: the handshake's frames one by one, then the rest; a bad frame destroys the socket with `FrameError`. */
export const target: Target = {
  name: "handshake",
  testExecutions: defaultTestExecutions,
  samples: () => handshakes,
  generate: anyHandshake,
  open: () => ({
    async run(input) {
      const choices = choicesOf(input);
      const socket = new FakeSocket();
      const connection = new FrameConnection(socket as unknown as Socket, () => 0);
      const pieces = piecesOf(input, choices);
      const early = choices.below(pieces.length + 1);
      const feed = (from: number, to: number) => {
        for (const piece of pieces.slice(from, to)) if (!socket.destroyed) socket.emit("data", piece);
      };
      feed(0, early);
      const first = connection.next(60_000);
      feed(early, pieces.length);
      let received = 0;
      try {
        // A frame that has come is given out even when a bad one came behind it.
        if (!socket.destroyed) queueMicrotask(() => socket.destroy());
        received += 16 + (await first).payload.length;
        if (choices.happens(0.2)) connection.refuse(1);
        else {
          connection.receiveWith((_type, _flags, _number, _callId, payload) => {
            received += 16 + payload.length;
          });
        }
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
      }
      assert.ok(received <= input.length);
      const { failure } = connection;
      if (failure !== undefined && !(failure instanceof FrameError)) throw failure;
    },
    close() {},
  }),
};
