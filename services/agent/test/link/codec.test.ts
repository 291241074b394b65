import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  encodeFrameHeader,
  FrameDecoder,
  FrameError,
  FrameType,
  frameHeaderBytes,
  framePayloadBytesMax,
} from "../../src/dataplane/link/codec.ts";
import { decodeHeaders, encodeHeaders, headerValue, withoutHeaders } from "../../src/dataplane/link/headers.ts";

interface Decoded {
  readonly type: number;
  readonly flags: number;
  readonly number: number;
  readonly callId: number;
  readonly payload: string;
}

function decoder(): { frames: Decoded[]; feed(chunk: Buffer): void } {
  const frames: Decoded[] = [];
  const inner = new FrameDecoder({
    onFrame: (type, flags, number, callId, payload) =>
      frames.push({ type, flags, number, callId, payload: payload.toString("hex") }),
  });
  return { frames, feed: (chunk) => inner.feed(chunk) };
}

function encode(frame: Decoded): Buffer {
  const payload = Buffer.from(frame.payload, "hex");
  const header = encodeFrameHeader(frame.type as FrameType, frame.flags, frame.number, frame.callId, payload.length);
  return Buffer.concat([header, payload]);
}

const types = Object.values(FrameType);
const frame = fc
  .record({
    type: fc.constantFrom(...types),
    flags: fc.integer({ min: 0, max: 255 }),
    number: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    callId: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    payload: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("hex")),
  })
  // Compared with objects that have a prototype.
  .map((each): Decoded => ({ ...each }));

describe("frame codec", () => {
  const few: Decoded[] = [
    { type: FrameType.open, flags: 0, number: 1, callId: 1, payload: "" },
    { type: FrameType.message, flags: 1, number: 2 ** 48 - 1, callId: 2 ** 32 - 1, payload: "00ff00ff".repeat(10) },
    { type: FrameType.ping, flags: 255, number: 0, callId: 0, payload: "" },
  ];
  const stream = Buffer.concat(few.map(encode));

  it("gives the same frames wherever the stream is split in three", () => {
    for (let first = 0; first <= stream.length; first += 1) {
      for (let second = first; second <= stream.length; second += 1) {
        const { frames, feed } = decoder();
        for (const part of [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)]) {
          feed(part);
        }
        assert.deepEqual(frames, few);
      }
    }
  });

  it("gives the same frames byte by byte", () => {
    const { frames, feed } = decoder();
    for (let at = 0; at < stream.length; at += 1) feed(stream.subarray(at, at + 1));
    assert.deepEqual(frames, few);
  });

  it("gives back whatever was encoded, in whatever chunks it comes", () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 60 })), (given, chunks) => {
        const bytes = Buffer.concat(given.map(encode));
        const { frames, feed } = decoder();
        let at = 0;
        for (const length of [...chunks, bytes.length]) {
          feed(bytes.subarray(at, at + length));
          at = Math.min(at + length, bytes.length);
        }
        assert.deepEqual(frames, given);
      }),
      { seed: 1 },
    );
  });

  it("takes the largest payload and refuses one byte more before it has come", () => {
    const { frames, feed } = decoder();
    feed(encode({ ...(few[0] as Decoded), payload: "ab".repeat(framePayloadBytesMax) }));
    assert.equal(frames[0]?.payload.length, 2 * framePayloadBytesMax);
    assert.throws(() => feed(encodeFrameHeader(FrameType.message, 0, 1, 1, framePayloadBytesMax + 1)), FrameError);
  });

  it("refuses lengths below the header's and unknown types", () => {
    for (let length = 0; length < frameHeaderBytes - 4; length += 1) {
      const header = encodeFrameHeader(FrameType.ping, 0, 0, 0, 0);
      header.writeUInt32BE(length, 0);
      assert.throws(() => decoder().feed(header), FrameError);
    }
    const known = new Set<number>(types);
    for (let type = 0; type < 256; type += 1) {
      const header = encodeFrameHeader(type as FrameType, 0, 0, 0, 0);
      if (known.has(type)) decoder().feed(header);
      else assert.throws(() => decoder().feed(header), FrameError);
    }
  });

  it("throws nothing but FrameError for streams with changed bytes, and ends", () => {
    fc.assert(
      fc.property(
        fc.array(frame, { minLength: 1, maxLength: 10 }),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 50 }),
        (given, changes, chunkBytes) => {
          const bytes = Buffer.concat(given.map(encode));
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          const { frames, feed } = decoder();
          try {
            for (let at = 0; at < bytes.length; at += chunkBytes) feed(bytes.subarray(at, at + chunkBytes));
          } catch (error) {
            assert.ok(error instanceof FrameError, String(error));
          }
          assert.ok(frames.length <= bytes.length / frameHeaderBytes);
        },
      ),
      { seed: 2, numRuns: 2_000 },
    );
  });
});

const headerText = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 60,
});

describe("header blocks", () => {
  it("give back every list of latin1 names and values: order, duplicates, empty values", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(headerText, headerText), { maxLength: 30 }), (pairs) => {
        assert.deepEqual(decodeHeaders(encodeHeaders(pairs.flat())), pairs.flat());
      }),
      { seed: 3 },
    );
  });

  it("refuse every cut and every addition with FrameError", () => {
    const block = encodeHeaders([":path", "/a.B/C", "x-bin", "\u00ff\u0000", "empty", ""]);
    for (let length = 0; length < block.length; length += 1) {
      assert.throws(() => decodeHeaders(block.subarray(0, length)), FrameError);
    }
    assert.throws(() => decodeHeaders(Buffer.concat([block, Buffer.alloc(1)])), FrameError);
  });

  it("are refused beyond 256 KiB, however well they add up", () => {
    const bytesMax = 256 * 1024;
    const overheadBytes = encodeHeaders(["x", ""]).length;
    const most = encodeHeaders(["x", "v".repeat(bytesMax - overheadBytes)]);
    assert.equal(most.length, bytesMax);
    assert.equal(decodeHeaders(most)[1]?.length, bytesMax - overheadBytes);
    const more = encodeHeaders(["x", "v".repeat(bytesMax - overheadBytes + 1)]);
    assert.throws(() => decodeHeaders(more), /a header block of 262145 bytes exceeds 262144/);
  });

  it("throw nothing but FrameError for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        try {
          decodeHeaders(Buffer.from(bytes));
        } catch (error) {
          assert.ok(error instanceof FrameError, String(error));
        }
      }),
      { seed: 4, numRuns: 2_000 },
    );
  });

  it("are looked up and filtered by name", () => {
    const list = ["a", "1", "b", "2", "a", "3", "b", "b"];
    assert.deepEqual([headerValue(list, "a"), headerValue(list, "b"), headerValue(list, "1")], ["1", "2", undefined]);
    assert.deepEqual(withoutHeaders(list, new Set(["a"])), ["b", "2", "b", "b"]);
    assert.deepEqual(withoutHeaders(list, new Set(["c"])), list);
  });
});
