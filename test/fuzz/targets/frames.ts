import assert from "node:assert/strict";
import type { Random } from "../../../packages/simulator/src/engine/random.ts";
import {
  encodeFrameHeader,
  FrameDecoder,
  FrameError,
  FrameType,
  frameHeaderBytes,
  framePayloadBytesMax,
} from "../../../services/agent/src/dataplane/link/codec.ts";
import { choicesOf, piecesOf } from "../engine/inputs.ts";
import { randomBytes } from "../engine/mutate.ts";
import { defaultTestExecutions, type Target } from "../engine/target.ts";

const types = Object.values(FrameType);

function frame(random: Random): Buffer {
  const payload = randomBytes(random, random.below(random.happens(0.02) ? 2_000 : 20));
  const type = random.pick(types) ?? FrameType.ping;
  const number = random.happens(0.1) ? 2 ** 48 - 1 : random.below(1_000);
  const header = encodeFrameHeader(type, random.below(256), number, random.below(10), payload.length);
  if (random.happens(0.02)) header.writeUInt32BE(framePayloadBytesMax + 11 + random.below(4), 0);
  return Buffer.concat([header, payload]);
}

function stream(random: Random): Buffer {
  return Buffer.concat(Array.from({ length: 1 + random.below(8) }, () => frame(random)));
}

interface Cut {
  readonly frames: string[];
  readonly outcome: "whole" | "waits" | "refused";
}

/** What the stream means, read from the protocol's reference: the decoder must say the same however it is cut. */
function expected(bytes: Buffer): Cut {
  const found: string[] = [];
  let at = 0;
  while (bytes.length - at >= frameHeaderBytes) {
    const length = bytes.readUInt32BE(at);
    const known = (types as readonly number[]).includes(bytes.readUInt8(at + 4));
    if (length < 12 || length > 12 + 1_048_576 || !known) return { frames: found, outcome: "refused" };
    if (at + 4 + length > bytes.length) break;
    found.push(bytes.toString("hex", at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { frames: found, outcome: at === bytes.length ? "whole" : "waits" };
}

/** `FrameDecoder`: every stream, however it arrives, gives the frames in it, and then a `FrameError` or nothing. */
export const target: Target = {
  name: "frames",
  testExecutions: defaultTestExecutions,
  samples: () => types.map((type) => Buffer.concat([encodeFrameHeader(type, 1, 7, 3, 4), Buffer.from("data")])),
  generate: stream,
  open: () => ({
    run(input) {
      const seen: string[] = [];
      const decoder = new FrameDecoder({
        onFrame(type, flags, number, callId, payload) {
          const header = encodeFrameHeader(type as FrameType, flags, number, callId, payload.length);
          seen.push(header.toString("hex", 4) + payload.toString("hex"));
        },
      });
      let refused = false;
      try {
        for (const piece of piecesOf(input, choicesOf(input))) decoder.feed(piece);
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        refused = true;
      }
      const { frames: wanted, outcome } = expected(input);
      assert.deepEqual(seen, wanted);
      assert.equal(refused, outcome === "refused");
    },
    close() {},
  }),
};
