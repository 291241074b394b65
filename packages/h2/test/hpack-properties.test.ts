import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ConnectionError } from "../src/errors.ts";
import { HpackDecoder } from "../src/hpack/decoder.ts";
import { HpackEncoder } from "../src/hpack/encoder.ts";
import { huffmanBytes, huffmanDecode, huffmanEncode } from "../src/hpack/huffman.ts";
import { HpackModel } from "./support/hpack-model.ts";
import { block, integer, text } from "./support/wire.ts";

const octets = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 40,
});
const name = fc.constantFrom("a", "te", ":path", "x-long-name", "authorization", "content-type", "grpc-timeout");
const value = fc.oneof(fc.constantFrom("", "trailers", "v".repeat(300), "v".repeat(700), "w".repeat(1500)), octets);
const list = fc.array(fc.tuple(name, value), { maxLength: 6 }).map((fields) => fields.flat());

/** One field as a peer may write it: of any form, right or nearly. */
const field = fc.oneof(
  fc.integer({ min: 0, max: 70 }).map((index) => integer(index, 0x80, 7)),
  fc
    .tuple(fc.constantFrom(0x40, 0x00, 0x10), fc.integer({ min: 0, max: 66 }), name, value)
    .map(([pattern, index, n, v]) => {
      const head = integer(index, pattern, pattern === 0x40 ? 6 : 4);
      return Buffer.concat(index === 0 ? [head, text(n), text(v)] : [head, text(v)]);
    }),
);
const sizeUpdate = fc.constantFrom(0, 40, 100, 1000, 4095, 4096, 4097).map((size) => integer(size, 0x20, 5));
const blockOfFields = fc
  .tuple(fc.array(sizeUpdate, { maxLength: 1 }), fc.array(field, { maxLength: 5 }))
  .map(([updates, fields]) => Buffer.concat([...updates, ...fields]));

describe("HPACK: properties", () => {
  it("Huffman gives any string back, in as many octets as it said", () => {
    fc.assert(
      fc.property(octets, (string) => {
        const target = Buffer.alloc(4 * string.length + 2);
        const end = huffmanEncode(string, target, 1);
        assert.equal(end - 1, huffmanBytes(string));
        assert.equal(huffmanDecode(target, 1, end), string);
      }),
      { numRuns: 2_000 },
    );
  });

  it("the decoder, with all that it remembers, says what a plain reading of the RFC says", () => {
    // A few blocks that come again and again, so that many are found among those remembered.
    const session = fc
      .array(blockOfFields, { minLength: 1, maxLength: 5 })
      .chain((blocks) => fc.array(fc.constantFrom(...blocks), { minLength: 1, maxLength: 30 }));
    let agreed = 0;
    fc.assert(
      fc.property(session, (blocks) => {
        const decoder = new HpackDecoder(4096, 1_000_000);
        const model = new HpackModel(4096);
        for (const octetsOfBlock of blocks) {
          const expected = model.decode(octetsOfBlock);
          if (expected === undefined) {
            assert.throws(() => decoder.decode(octetsOfBlock, 0, octetsOfBlock.length), ConnectionError);
            return;
          }
          agreed += 1;
          assert.deepEqual(decoder.decode(octetsOfBlock, 0, octetsOfBlock.length).headers, expected);
        }
      }),
      { numRuns: 3_000 },
    );
    assert.ok(agreed > 3_000);
  });

  it("what the encoder writes says what it was given, in the table that the peer allows", () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: list },
      { weight: 1, arbitrary: fc.constantFrom(0, 64, 500, 4096, 65_536) },
    );
    const session = fc
      .array(step, { minLength: 1, maxLength: 6 })
      .chain((steps) => fc.array(fc.constantFrom(...steps), { minLength: 1, maxLength: 60 }));
    fc.assert(
      fc.property(session, (steps) => {
        const encoder = new HpackEncoder();
        const model = new HpackModel(4096);
        const decoder = new HpackDecoder(4096, 1_000_000);
        for (const one of steps) {
          if (typeof one === "number") {
            encoder.limitTable(one);
            model.allow(one);
            continue;
          }
          const encoded = Buffer.from(encoder.encode(one));
          assert.deepEqual(model.decode(encoded), one);
          assert.deepEqual(decoder.decode(encoded, 0, encoded.length).headers, one);
          assert.ok(model.bytes <= Math.min(model.allowedBytes, 4096));
          const secrets = model.entries.filter(([entryName]) => entryName === "authorization");
          assert.deepEqual(secrets, []);
        }
      }),
      { numRuns: 800 },
    );
  });

  it("any octets are a block or a compression error, and the same to the plain reading", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const source = Buffer.concat([Buffer.from([1, 2, 3]), bytes, Buffer.from([4, 5])]);
        const expected = new HpackModel(4096).decode(bytes);
        const decoder = new HpackDecoder(4096, 1_000_000);
        if (expected === undefined) assert.throws(() => decoder.decode(source, 3, 3 + bytes.length), ConnectionError);
        else assert.deepEqual(decoder.decode(source, 3, 3 + bytes.length).headers, expected);
      }),
      { numRuns: 5_000 },
    );
  });

  it("the model reads what is written by hand", () => {
    fc.assert(fc.property(list, (fields) => assert.deepEqual(new HpackModel(4096).decode(block(fields)), fields)));
  });
});
