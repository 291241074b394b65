import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { base64Pieces, isTextType, isUtf8, utf8Pieces } from "../../src/state/text.ts";
import { collect } from "./support.ts";

async function* split(bytes: Uint8Array, chunkBytes: number) {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    yield bytes.subarray(at, at + chunkBytes);
  }
}

const size = fc.integer({ min: 1, max: 20 });

describe("state as text", () => {
  it("gives the exact bytes back from base64 pieces, one by one or joined", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), size, async (bytes, chunkBytes) => {
        const pieces = await collect(base64Pieces(split(bytes, chunkBytes)));
        assert.equal(pieces.join(""), Buffer.from(bytes).toString("base64"));
        assert.deepEqual(Buffer.concat(pieces.map((each) => Buffer.from(each, "base64"))), Buffer.from(bytes));
      }),
    );
  });

  it("gives the exact bytes back from UTF-8 pieces through JSON, a byte order mark included", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), size, async (text, chunkBytes) => {
        const bytes = Buffer.from(`\uFEFF${text}`);
        const pieces = await collect(utf8Pieces(split(bytes, chunkBytes)));
        const json = pieces.map((each) => JSON.stringify(each).slice(1, -1)).join("");
        assert.deepEqual(Buffer.from(JSON.parse(`"${json}"`)), bytes);
      }),
    );
  });

  it("knows UTF-8 however it is cut", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 30 }), size, async (bytes, chunkBytes) => {
        const faithful = Buffer.from(Buffer.from(bytes).toString("utf8")).equals(bytes);
        assert.equal(await isUtf8(split(bytes, chunkBytes)), faithful);
      }),
    );
    assert.equal(await isUtf8(split(Buffer.from("€").subarray(0, 2), 1)), false);
  });

  it("does not take a failing store for bytes that are not UTF-8", async () => {
    async function* failing() {
      yield Buffer.from("text");
      throw new Error("the store is gone");
    }
    await assert.rejects(isUtf8(failing()), /the store is gone/);
  });

  it("knows the media types of text", () => {
    for (const type of [
      "application/json",
      "Application/JSON; charset=utf-8",
      "text/csv",
      "application/ld+json",
      "image/x",
    ]) {
      assert.equal(isTextType(type), type !== "image/x", type);
    }
  });
});
