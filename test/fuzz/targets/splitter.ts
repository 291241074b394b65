import assert from "node:assert/strict";
import { GrpcSplitter } from "../../../services/agent/src/dataplane/call/splitter.ts";
import { choicesOf, piecesOf } from "../engine/inputs.ts";
import { randomBytes } from "../engine/mutate.ts";
import { defaultTestExecutions, type Target } from "../engine/target.ts";

const messageBytesMax = 1_000;

function message(payload: Buffer, flag = 0): Buffer {
  const prefix = Buffer.alloc(5, flag);
  prefix.writeUInt32BE(payload.length, 1);
  return Buffer.concat([prefix, payload]);
}

/** Where each message begins and ends, as far as the limit allows. */
function expected(body: Buffer): { lengths: number[]; outcome: "ok" | "tooLarge" } {
  const lengths: number[] = [];
  for (let at = 0; body.length - at >= 5; ) {
    const length = body.readUInt32BE(at + 1);
    if (length > messageBytesMax) return { lengths, outcome: "tooLarge" };
    lengths.push(length + 5);
    at += length + 5;
  }
  return { lengths, outcome: "ok" };
}

/** `GrpcSplitter`: its pieces joined are the body, and their messages are those that the prefixes tell. */
export const target: Target = {
  name: "splitter",
  testExecutions: defaultTestExecutions,
  samples: () => [
    message(Buffer.alloc(0)),
    Buffer.concat([message(Buffer.from("one")), message(Buffer.from("two"), 1), message(Buffer.alloc(900, 3))]),
    message(Buffer.alloc(messageBytesMax + 1)),
  ],
  generate: (random) =>
    Buffer.concat(
      Array.from({ length: 1 + random.below(5) }, () =>
        message(randomBytes(random, random.below(random.happens(0.1) ? 1_100 : 30)), random.below(3)),
      ),
    ),
  open: () => ({
    run(input) {
      const split = new GrpcSplitter(messageBytesMax);
      const { lengths, outcome: wanted } = expected(input);
      let at = 0;
      let index = 0;
      let offset = 0;
      let outcome: "ok" | "tooLarge" = "ok";
      for (const chunk of piecesOf(input, choicesOf(input))) {
        outcome = split.split(chunk, (piece) => {
          assert.equal(piece.bytes.length > 0, true);
          assert.equal(input.compare(piece.bytes, 0, piece.bytes.length, at, at + piece.bytes.length), 0);
          assert.equal(piece.messageIndex, index);
          assert.equal(piece.offsetBytes, offset);
          assert.equal(piece.messageBytes, lengths[index]);
          at += piece.bytes.length;
          offset += piece.bytes.length;
          assert.equal(piece.endOfMessage, offset === lengths[index]);
          if (!piece.endOfMessage) return;
          index += 1;
          offset = 0;
        });
        if (outcome === "tooLarge") break;
      }
      assert.equal(outcome, wanted);
      assert.equal(split.messages, index);
    },
    close() {},
  }),
};
