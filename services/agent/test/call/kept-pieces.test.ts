import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type KeptPiece, keepPiece, moveOut, releasePiece } from "../../src/dataplane/call/kept-pieces.ts";

describe("kept pieces", () => {
  it("stay as they were, whatever is kept, moved and released around them", () => {
    const step = fc.record({
      bytes: fc.integer({ min: 1, max: 20_000 }),
      what: fc.constantFrom("keep", "release", "move"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const kept: { piece: KeptPiece; fill: number; bytes: number }[] = [];
        let fill = 0;
        for (const { bytes, what } of steps) {
          const at = bytes % Math.max(1, kept.length);
          if (what === "keep") {
            fill = (fill + 1) % 251;
            const source = Buffer.alloc(bytes, fill);
            kept.push({ piece: keepPiece(source), fill, bytes });
            source.fill(255);
          } else if (what === "release") {
            for (const { piece } of kept.splice(at, 1)) releasePiece(piece);
          } else if (kept[at] !== undefined) moveOut(kept[at].piece);
          for (const one of kept) assert.ok(one.piece.bytes.equals(Buffer.alloc(one.bytes, one.fill)));
        }
        for (const { piece } of kept) releasePiece(piece);
      }),
      { numRuns: 50 },
    );
  });

  it("take no new memory while as much is released as is kept", () => {
    const slabs = new Set<ArrayBufferLike>();
    for (let i = 0; i < 1_000; i += 1) {
      const piece = keepPiece(Buffer.alloc(10_000, i));
      slabs.add(piece.bytes.buffer);
      releasePiece(piece);
    }
    assert.equal(slabs.size, 1);
  });

  it("keep no slab once they are moved out", () => {
    const piece = keepPiece(Buffer.from("abc"));
    assert.ok(piece.bytes.buffer.byteLength > 3);
    moveOut(piece);
    assert.equal(piece.bytes.buffer.byteLength, 3);
    assert.equal(piece.bytes.toString(), "abc");
    releasePiece(piece);
  });
});
