import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Flag, FrameType } from "../src/frames/constants.ts";
import { Output } from "../src/frames/output.ts";
import { FrameParser } from "./support/wire.ts";

/** An `Output` and the frames that have left it. */
function setup(): { output: Output; frames: () => string[]; writes: () => number } {
  const parser = new FrameParser();
  const frames: string[] = [];
  let writes = 0;
  const take = (chunks: readonly Buffer[]) => {
    writes += 1;
    for (const { type, flags, streamId, payload } of parser.feed(Buffer.concat(chunks))) {
      frames.push(`${type} ${flags} ${streamId} ${payload.length < 20 ? payload.toString("latin1") : payload.length}`);
    }
  };
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      take([chunk]);
      done();
    },
    writev(chunks, done) {
      take(chunks.map(({ chunk }) => chunk as Buffer));
      done();
    },
  });
  return { output: new Output(socket, () => {}), frames: () => frames, writes: () => writes };
}

const bytes = (length: number, fill = 0x61) => Buffer.alloc(length, fill);

describe("Output", () => {
  it("ends a stream on its last DATA frame while that is here", () => {
    const { output, frames } = setup();
    output.data(1, Buffer.from("a"), false);
    output.data(1, Buffer.from("b"), false);
    output.endData(1);
    output.flush();
    assert.deepEqual(frames(), ["0 0 1 a", "0 1 1 b"]);
  });

  it("ends it on a frame of its own when the last has left, is another's, or is not the last", () => {
    const { output, frames } = setup();
    output.data(1, Buffer.from("a"), false);
    output.flush();
    output.endData(1);
    output.data(3, Buffer.from("b"), false);
    output.data(5, Buffer.from("c"), false);
    output.endData(3);
    output.data(7, Buffer.from("d"), false);
    output.head(8, FrameType.ping, 0, 0);
    output.uint32(0x31323334);
    output.uint32(0x35363738);
    output.endData(7);
    output.flush();
    assert.deepEqual(frames(), [
      "0 0 1 a",
      "0 1 1 ",
      "0 0 3 b",
      "0 0 5 c",
      "0 1 3 ",
      "0 0 7 d",
      "6 0 0 12345678",
      "0 1 7 ",
    ]);
  });

  it("sends long and short payloads in order, in one write", () => {
    const { output, frames, writes } = setup();
    output.data(1, bytes(5_000), false);
    output.data(3, Buffer.from("x"), false);
    output.data(1, bytes(1_025), true);
    output.data(5, bytes(1_024), true);
    output.flush();
    assert.deepEqual(frames(), ["0 0 1 5000", "0 0 3 x", "0 1 1 1025", "0 1 5 1024"]);
    assert.equal(writes(), 1);
  });

  it("cuts a long header block, with END_STREAM on the first frame and END_HEADERS on the last", () => {
    for (const [length, sizes] of [
      [16_384, [16_384]],
      [16_385, [16_384, 1]],
      [32_768, [16_384, 16_384]],
      [40_000, [16_384, 16_384, 7_232]],
    ] as const) {
      const { output, frames } = setup();
      output.headers(1, bytes(length), true);
      output.flush();
      const expected = sizes.map((size, i) => {
        const type = i === 0 ? FrameType.headers : FrameType.continuation;
        const flags = (i === 0 ? Flag.endStream : 0) | (i === sizes.length - 1 ? Flag.endHeaders : 0);
        return `${type} ${flags} 1 ${size < 20 ? "a".repeat(size) : size}`;
      });
      assert.deepEqual(frames(), expected);
    }
  });

  it("has copied a header block when it returns, whatever its length", () => {
    for (const length of [10, 1_024, 1_025, 20_000]) {
      const { output, frames } = setup();
      const block = bytes(length, 0x62);
      output.headers(1, block, false);
      block.fill(0);
      output.headers(3, bytes(4, 0x63), false);
      output.flush();
      assert.ok(length > 20 || frames()[0] === `1 4 1 ${"b".repeat(length)}`);
      assert.equal(frames().at(-1), "1 4 3 cccc");
    }
  });

  it("sends any frames in order, each stream's end where it was asked for", () => {
    const id = fc.constantFrom(1, 3);
    // Not 0: an empty frame that ends a stream looks like an end of its own.
    const length = fc.constantFrom(1, 9, 500, 1_023, 1_024, 1_025, 9_000, 16_384);
    const step = fc.oneof(
      fc.tuple(fc.constant("data" as const), id, length),
      fc.tuple(fc.constant("end" as const), id, fc.constant(0)),
      fc.tuple(fc.constant("headers" as const), id, length),
      fc.tuple(fc.constant("flush" as const), id, fc.constant(0)),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { output, frames } = setup();
        const expected: string[] = [];
        let sent = 0;
        for (const [kind, streamId, size] of steps) {
          const shown = size < 20 ? "a".repeat(size) : String(size);
          if (kind === "data") {
            output.data(streamId, bytes(size), false);
            expected.push(`0 0 ${streamId} ${shown}`);
          } else if (kind === "headers") {
            output.headers(streamId, bytes(size), false);
            expected.push(`1 4 ${streamId} ${shown}`);
          } else if (kind === "flush") output.flush();
          else {
            output.endData(streamId);
            expected.push(`0 1 ${streamId} `);
          }
          sent += kind === "flush" ? 0 : 1;
        }
        output.flush();
        assert.equal(merged(expected).length <= sent, true);
        assert.deepEqual(merged(frames()), merged(expected));
      }),
      { numRuns: 500 },
    );
  });
});

/** DATA and then the end of the same stream is the same as DATA that ends it. */
function merged(frames: readonly string[]): string[] {
  const result: string[] = [];
  for (const one of frames) {
    const [, , streamId] = one.split(" ");
    const last = result.at(-1);
    if (one === `0 1 ${streamId} ` && last?.startsWith(`0 0 ${streamId} `) === true) {
      result[result.length - 1] = last.replace("0 0", "0 1");
    } else result.push(one);
  }
  return result;
}
