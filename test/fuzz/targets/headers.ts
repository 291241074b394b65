import assert from "node:assert/strict";
import { FrameError } from "../../../services/agent/src/dataplane/link/codec.ts";
import { decodeHeaders, encodeHeaders } from "../../../services/agent/src/dataplane/link/headers.ts";
import { randomBytes } from "../engine/mutate.ts";
import { defaultTestExecutions, type Target } from "../engine/target.ts";

/** `decodeHeaders`: any block is refused with `FrameError`, or says the same again when it is encoded. */
export const target: Target = {
  name: "headers",
  testExecutions: defaultTestExecutions,
  samples: () => [
    encodeHeaders([]),
    encodeHeaders([":path", "/bank.v1.Bank/Transfer", "content-type", "application/grpc", "x-bin", "\u00ff\u0000"]),
    encodeHeaders(Array.from({ length: 60 }, (_, at) => (at % 2 === 0 ? "name" : String(at)))),
  ],
  generate(random) {
    const list: string[] = [];
    for (let pairs = random.below(8); pairs > 0; pairs -= 1) {
      list.push(randomBytes(random, random.below(12)).toString("latin1"));
      list.push(randomBytes(random, random.below(30)).toString("latin1"));
    }
    return encodeHeaders(list);
  },
  open: () => ({
    run(input) {
      let list: readonly string[];
      try {
        list = decodeHeaders(input);
      } catch (error) {
        if (error instanceof FrameError) return;
        throw error;
      }
      assert.equal(encodeHeaders(list).compare(input), 0);
    },
    close() {},
  }),
};
