import assert from "node:assert/strict";
import { ConnectionError } from "../../../packages/h2/src/errors.ts";
import { FrameReader } from "../../../packages/h2/src/frames/reader.ts";
import { EventLog } from "../../../packages/h2/test/support/event-log.ts";
import { wire } from "../../../packages/h2/test/support/wire.ts";
import { choicesOf, piecesOf } from "../engine/inputs.ts";
import { defaultTestExecutions, type Target } from "../engine/target.ts";
import { traffic } from "./support/h2-traffic.ts";

const headerBlockBytesMax = 2_000;

function read(side: "server" | "client", pieces: readonly Buffer[]): string {
  const log = new EventLog();
  const reader = new FrameReader(side, headerBlockBytesMax, log);
  try {
    for (const piece of pieces) reader.feed(piece);
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    return [...log.events, `refused ${error.errorCode}`].join("\n");
  }
  return log.events.join("\n");
}

/** `FrameReader`: any bytes give the same events, and are refused for the same reason, however they are cut. */
export const target: Target = {
  name: "h2-frames",
  testExecutions: defaultTestExecutions,
  samples: () => [
    wire.settings(),
    Buffer.concat([wire.settings(), wire.headers(1, ["a", "b"]), wire.data(1, "data", true)]),
    Buffer.concat([
      wire.settings(),
      wire.headers(1, Buffer.alloc(9), { endHeaders: false }),
      wire.continuation(1, [1, 2]),
    ]),
    Buffer.concat([wire.settings(), wire.ping("x"), wire.reset(1, 8), wire.goaway(1, 0), wire.windowUpdate(1, 1)]),
  ],
  generate: (random) => Buffer.concat([wire.settings(), traffic(random, "server")]),
  open: () => ({
    run(input) {
      const whole = read("client", [input]);
      assert.equal(read("client", piecesOf(input, choicesOf(input))), whole);
      assert.equal(read("server", [wire.preface, input]), whole);
    },
    close() {},
  }),
};
