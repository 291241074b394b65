import assert from "node:assert/strict";
import { ConnectionError } from "../../../packages/h2/src/errors.ts";
import { HpackDecoder } from "../../../packages/h2/src/hpack/decoder.ts";
import { HpackEncoder } from "../../../packages/h2/src/hpack/encoder.ts";
import { HpackModel } from "../../../packages/h2/test/support/hpack-model.ts";
import { block, integer, text } from "../../../packages/h2/test/support/wire.ts";
import type { Random } from "../../../packages/simulator/src/engine/random.ts";
import { delimited, recordsOf } from "../engine/inputs.ts";
import { randomBytes } from "../engine/mutate.ts";
import { defaultTestExecutions, type Target } from "../engine/target.ts";

const tableBytes = 4_096;
const blocksMax = 12;
const names = ["a", "te", ":path", "content-type", "authorization", "x-some-long-name"];

/** RFC 7541, appendix C.4 and C.6: with Huffman. */
const huffman = ["828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf", "488264025885aec3771a4b"].map(
  (hex) => Buffer.from(hex, "hex"),
);

function field(random: Random): Buffer {
  if (random.happens(0.4)) return integer(random.below(70), 0x80, 7);
  if (random.happens(0.1)) return integer(random.pick([0, 33, 100, 4_095, 4_096, 4_097]) ?? 0, 0x20, 5);
  const [pattern, bits] = random.pick([[0x40, 6] as const, [0x00, 4] as const, [0x10, 4] as const]) ?? [0, 4];
  const index = random.happens(0.5) ? 0 : random.below(66);
  const value = text(randomBytes(random, random.below(random.happens(0.05) ? 3_000 : 20)).toString("latin1"));
  const head = integer(index, pattern, bits);
  return Buffer.concat(index === 0 ? [head, text(random.pick(names) ?? ""), value] : [head, value]);
}

function blocks(random: Random): Buffer {
  const made: Buffer[] = [];
  for (let left = 1 + random.below(6); left > 0; left -= 1) {
    const again = random.happens(0.4) ? random.pick(made) : undefined;
    made.push(again ?? Buffer.concat(Array.from({ length: random.below(5) }, () => field(random))));
  }
  return delimited(made);
}

/** Blocks of one connection: the decoder agrees with a plain reading of the RFC, and what it found survives our encoder. */
export const target: Target = {
  name: "hpack",
  testExecutions: defaultTestExecutions,
  samples: () => [
    delimited(huffman),
    delimited([block(["a", "b"]), block(["a", "b"])]),
    delimited([Buffer.from([0x3f, 0xe1, 0x1f])]),
  ],
  generate: blocks,
  open: () => ({
    run(input) {
      const decoder = new HpackDecoder(tableBytes, 1_000_000_000);
      const model = new HpackModel(tableBytes);
      const encoder = new HpackEncoder();
      const receiver = new HpackDecoder(tableBytes, 1_000_000_000);
      for (const record of recordsOf(input, blocksMax)) {
        const expected = model.decode(record);
        let found: readonly string[] | undefined;
        try {
          found = decoder.decode(record, 0, record.length).headers;
        } catch (error) {
          if (!(error instanceof ConnectionError)) throw error;
        }
        assert.deepEqual(found, expected);
        if (found === undefined) return;
        if (record.length % 7 === 0) encoder.limitTable(record.length * 8);
        const encoded = encoder.encode(found);
        assert.deepEqual(receiver.decode(encoded, 0, encoded.length).headers, found);
      }
    },
    close() {},
  }),
};
