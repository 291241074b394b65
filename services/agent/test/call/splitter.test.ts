import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { GrpcSplitter, type MessagePiece, OpaqueSplitter } from "../../src/dataplane/call/splitter.ts";

function message(body: Uint8Array, compressed = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = compressed;
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

/** Joins pieces and checks that each is where it says. */
function join(pieces: readonly MessagePiece[]): Buffer[] {
  const messages: Buffer[] = [];
  let parts: Uint8Array[] = [];
  let offsetBytes = 0;
  for (const piece of pieces) {
    assert.equal(piece.messageIndex, messages.length);
    assert.equal(piece.offsetBytes, offsetBytes);
    if (offsetBytes === 0) assert.ok(piece.bytes.length >= 5, "the first piece has the whole prefix");
    assert.ok(piece.bytes.length > 0);
    parts.push(piece.bytes);
    offsetBytes += piece.bytes.length;
    assert.equal(piece.endOfMessage, offsetBytes === piece.messageBytes);
    if (!piece.endOfMessage) continue;
    messages.push(Buffer.concat(parts));
    parts = [];
    offsetBytes = 0;
  }
  return messages;
}

describe("gRPC bodies", () => {
  const bodies = [
    message(Buffer.from("hello")),
    message(Buffer.alloc(0)),
    message(Buffer.alloc(0)),
    message(Buffer.from("x"), 1),
  ];
  const body = Buffer.concat(bodies);

  it("come apart into the same messages wherever they are split in three", () => {
    for (let first = 0; first <= body.length; first += 1) {
      for (let second = first; second <= body.length; second += 1) {
        const splitter = new GrpcSplitter(100);
        const pieces: MessagePiece[] = [];
        for (const chunk of [body.subarray(0, first), body.subarray(first, second), body.subarray(second)]) {
          assert.equal(
            splitter.split(chunk, (piece) => pieces.push(piece)),
            "ok",
          );
        }
        assert.deepEqual(join(pieces), bodies);
        assert.deepEqual([splitter.messages, splitter.inMessage], [bodies.length, false]);
      }
    }
  });

  it("come apart into the same messages in any chunks, and know where they stand", () => {
    const given = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
    fc.assert(
      fc.property(given, fc.array(fc.integer({ min: 1, max: 30 })), (messages, chunks) => {
        const bytes = Buffer.concat(messages.map((each) => message(each)));
        const ends = messages.map((_, i) => messages.slice(0, i + 1).reduce((sum, each) => sum + each.length + 5, 0));
        const splitter = new GrpcSplitter(100);
        const pieces: MessagePiece[] = [];
        let at = 0;
        for (const length of [...chunks, bytes.length]) {
          splitter.split(bytes.subarray(at, at + length), (piece) => pieces.push(piece));
          at = Math.min(at + length, bytes.length);
          assert.equal(splitter.messages, ends.filter((end) => end <= at).length);
          assert.equal(splitter.inMessage, at > 0 && !ends.includes(at));
        }
        assert.deepEqual(
          join(pieces),
          messages.map((each) => message(each)),
        );
      }),
      { seed: 1 },
    );
  });

  it("stop at a message above the limit, wherever its prefix is split", () => {
    const tooLarge = Buffer.concat([message(Buffer.alloc(100)), message(Buffer.alloc(101))]);
    for (let at = 0; at <= 110; at += 1) {
      const splitter = new GrpcSplitter(100);
      const pieces: MessagePiece[] = [];
      const outcomes: string[] = [];
      for (const chunk of [tooLarge.subarray(0, at), tooLarge.subarray(at)]) {
        if (!outcomes.includes("tooLarge")) outcomes.push(splitter.split(chunk, (piece) => pieces.push(piece)));
      }
      assert.equal(outcomes.at(-1), "tooLarge");
      assert.equal(splitter.refusedBytes, 101);
      assert.equal(join(pieces).length, 1);
    }
  });
});

describe("other bodies", () => {
  it("count every chunk as a message", () => {
    const splitter = new OpaqueSplitter();
    const pieces: MessagePiece[] = [];
    for (const text of ["ab", "c"]) splitter.split(Buffer.from(text), (piece) => pieces.push(piece));
    assert.deepEqual(
      pieces.map(({ messageIndex, endOfMessage, offsetBytes }) => [messageIndex, endOfMessage, offsetBytes]),
      [
        [0, true, 0],
        [1, true, 0],
      ],
    );
    assert.equal(splitter.messages, 2);
  });
});
