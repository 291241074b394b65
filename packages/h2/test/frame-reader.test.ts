import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ConnectionError } from "../src/errors.ts";
import { Flag, FrameType } from "../src/frames/constants.ts";
import { FrameReader } from "../src/frames/reader.ts";
import { EventLog } from "./support/event-log.ts";
import { frame, uint32, wire } from "./support/wire.ts";

const blockBytesMax = 1_000;

/** Events of a stream of bytes that comes in these pieces; the last says with which code it was refused, if it was. */
function read(pieces: readonly Buffer[], side: "server" | "client" = "server"): string[] {
  const log = new EventLog();
  const reader = new FrameReader(side, blockBytesMax, log);
  try {
    for (const piece of pieces) reader.feed(piece);
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    return [...log.events, `refused ${error.errorCode}`];
  }
  return log.events;
}

function cut(bytes: Buffer, positions: readonly number[]): Buffer[] {
  const at = [0, ...positions.map((p) => p % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

const everything = Buffer.concat([
  wire.preface,
  wire.settings([4, 65_535], [1, 0]),
  wire.settingsAck,
  wire.headers(1, ["a", "b"]),
  frame(
    FrameType.headers,
    Flag.padded | Flag.priority | Flag.endHeaders | Flag.endStream,
    3,
    [2, 0, 0, 0, 0, 9, 0x88, 0x89, 0, 0],
  ),
  wire.headers(5, Buffer.from([1, 2, 3]), { endHeaders: false }),
  wire.continuation(5, [], false),
  wire.continuation(5, [4, 5], false),
  wire.continuation(5, [6]),
  wire.data(1, "some data"),
  frame(FrameType.data, Flag.padded, 1, [3, 65, 66, 0, 0, 0]),
  frame(FrameType.data, Flag.padded, 1, [3, 0, 0, 0]),
  frame(FrameType.data, Flag.padded | Flag.endStream, 1, [0, 67]),
  wire.data(5),
  wire.data(5, "", true),
  wire.priority(7),
  frame(FrameType.priority, 0, 7, [1]),
  wire.reset(5, 0xffff_ffff),
  wire.ping("12345678"),
  wire.windowUpdate(0, 0x7fff_ffff),
  wire.windowUpdate(9, 1),
  frame(0xee, 0xff, 0x7fff_ffff, [1, 2, 3]),
  frame(FrameType.goaway, 0, 0, Buffer.concat([uint32(5, 2), Buffer.from("why")])),
]);

const wanted = [
  "settings false 00040000ffff000100000000",
  "settings true ",
  "headers 1 \0\u0001a\u0001b false",
  "headers 3 \u0088\u0089 true",
  "idle",
  "headers 5 \u0001\u0002\u0003\u0004\u0005\u0006 false",
  "data 1 9 9 = 1 false some data",
  "data 1 6 2 = 1 false AB",
  "data 1 4 0 = 1 false ",
  "data 1 2 1 = 1 true C",
  "data 5 0 0 = 5 false ",
  "data 5 0 0 = 5 true ",
  "idle",
  "bad 7",
  "reset 5 4294967295",
  "ping false 3132333435363738",
  "window 0 2147483647",
  "window 9 1",
  "idle",
  "goaway 5 2 why",
];

/** A frame of any type and nearly any content, mostly right. */
const anyFrame = fc.oneof(
  fc
    .record({
      type: fc.constantFrom(...Object.values(FrameType), 0x0a, 0xff),
      flags: fc.oneof(
        fc.constantFrom(0, Flag.endStream, Flag.endHeaders, Flag.padded, Flag.priority),
        fc.integer({ min: 0, max: 255 }),
      ),
      streamId: fc.integer({ min: 0, max: 5 }),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 20 }),
        fc.constantFrom(4, 5, 6, 8, 12, 600).map((n) => new Uint8Array(n)),
      ),
    })
    .map(({ type, flags, streamId, payload }) => frame(type, flags, streamId, payload)),
  fc.constantFrom(
    wire.data(1, "data"),
    wire.headers(1, ["a", "b"]),
    wire.continuation(1, [1]),
    wire.ping("x"),
    wire.settings(),
  ),
);

describe("how long a reader waits for the rest", () => {
  const ready = () => {
    const reader = new FrameReader("client", blockBytesMax, new EventLog());
    reader.feed(wire.settings());
    return reader;
  };
  const headers = wire.headers(1, Buffer.alloc(100));

  it("is counted from the look that first sees a frame begun", () => {
    const reader = ready();
    assert.equal(reader.waitedMs(1_000), -1);
    reader.feed(headers.subarray(0, 20));
    assert.deepEqual([reader.waitedMs(1_000), reader.waitedMs(1_000), reader.waitedMs(1_000)], [0, 1_000, 2_000]);
    reader.feed(headers.subarray(20, 21));
    assert.equal(reader.waitedMs(1_000), 3_000);
    reader.feed(headers.subarray(21));
    assert.equal(reader.waitedMs(1_000), -1);
  });

  it("goes on over the frames of one header block, and begins anew with the next one", () => {
    const reader = ready();
    const first = wire.headers(1, Buffer.alloc(10), { endHeaders: false });
    reader.feed(first);
    assert.deepEqual([reader.waitedMs(1_000), reader.waitedMs(1_000)], [0, 1_000]);
    const next = wire.continuation(1, Buffer.alloc(10), false);
    reader.feed(next.subarray(0, 5));
    assert.equal(reader.waitedMs(1_000), 2_000);
    reader.feed(next.subarray(5));
    assert.equal(reader.waitedMs(1_000), 3_000);
    reader.feed(Buffer.concat([wire.continuation(1, Buffer.alloc(1)), wire.headers(3, [], { endHeaders: false })]));
    assert.equal(reader.waitedMs(1_000), 0);
  });

  it("begins anew with each frame of a peer whose frames come in pieces, and does not count DATA", () => {
    const reader = ready();
    let rest = headers.subarray(0, 20);
    for (let i = 0; i < 5; i += 1) {
      reader.feed(rest);
      assert.equal(reader.waitedMs(1_000), 0, "every look sees another frame");
      reader.feed(Buffer.concat([headers.subarray(20), headers.subarray(0, 9)]));
      rest = headers.subarray(9, 20);
    }
    const other = ready();
    other.feed(wire.data(1, Buffer.alloc(100)).subarray(0, 50));
    assert.equal(other.waitedMs(1_000), -1);
  });
});

describe("FrameReader", () => {
  it("finds what was sent", () => {
    assert.deepEqual(read([everything]), wanted);
  });

  it("finds the same wherever the bytes are cut in two", () => {
    for (let at = 0; at <= everything.length; at += 1) {
      assert.deepEqual(read([everything.subarray(0, at), everything.subarray(at)]), wanted, `cut at ${at}`);
    }
  });

  it("finds the same in single bytes, and in pieces of any other one length", () => {
    for (let length = 1; length < 40; length += 1) {
      const pieces = Array.from({ length: Math.ceil(everything.length / length) }, (_, i) =>
        everything.subarray(i * length, (i + 1) * length),
      );
      assert.deepEqual(read(pieces), wanted, `pieces of ${length}`);
    }
  });

  it("finds the same, or refuses the same for the same reason, however any bytes are cut", () => {
    const stream = fc.array(anyFrame, { maxLength: 8 }).map((frames) => Buffer.concat([wire.settings(), ...frames]));
    let whole = 0;
    let refused = 0;
    fc.assert(
      fc.property(stream, fc.array(fc.nat({ max: 2_000 }), { maxLength: 12 }), (bytes, positions) => {
        const expected = read([bytes], "client");
        assert.deepEqual(read(cut(bytes, positions), "client"), expected);
        if (expected.at(-1)?.startsWith("refused") === true) refused += 1;
        else whole += 1;
      }),
      { numRuns: 5_000 },
    );
    assert.ok(whole > 500 && refused > 500, `${whole} read to the end, ${refused} refused`);
  });

  it("hands DATA on as it comes", () => {
    const log = new EventLog();
    const reader = new FrameReader("client", blockBytesMax, log);
    reader.feed(wire.settings());
    const bytes = wire.data(1, "abcdef", true);
    reader.feed(bytes.subarray(0, 11));
    assert.equal(log.events.at(-1), "data 1 6 6 = 1 false ab");
    reader.feed(bytes.subarray(11));
    assert.equal(log.events.at(-1), "data 1 6 6 = 1 true abcdef");
  });

  it("refuses a wrong length by the head alone, without waiting for what does not come", () => {
    const heads = [
      frame(FrameType.data, 0, 1, [], 16_385),
      frame(FrameType.data, Flag.padded, 1, [], 0),
      frame(FrameType.settings, 0, 0, [], 0xff_ffff),
    ];
    for (const head of heads) assert.equal(read([wire.settings(), head], "client").at(-1), "refused 6");
  });

  it("holds no more of a header block than its limit, in no more than 64 frames", () => {
    const long = wire.headers(1, Buffer.alloc(900), { endHeaders: false });
    assert.equal(read([wire.settings(), long, wire.continuation(1, Buffer.alloc(100), false)], "client").length, 1);
    assert.equal(
      read([wire.settings(), long, wire.continuation(1, Buffer.alloc(101), false)], "client").at(-1),
      "refused 11",
    );
    const begun = wire.headers(1, Buffer.alloc(1), { endHeaders: false });
    const more = (count: number) => Array.from({ length: count }, () => wire.continuation(1, [1], false));
    assert.equal(read([wire.settings(), begun, ...more(63)], "client").length, 1);
    assert.equal(read([wire.settings(), begun, ...more(64)], "client").at(-1), "refused 11");
  });
});
