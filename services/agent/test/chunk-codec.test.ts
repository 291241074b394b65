import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { UploadRequest } from "@cutline/proto/control";
import { CaptureResponse } from "@cutline/proto/participant";
import { chunkIn, encodeChunk } from "../src/chunk-codec.ts";

const sizes = [0, 1, 127, 128, 16_383, 16_384, 262_144, 2_097_151];

describe("the messages that states travel in", () => {
  it("are written byte for byte as the generated code writes them", () => {
    for (const size of sizes) {
      const value = randomBytes(size);
      const generated = UploadRequest.encode({ body: { $case: "chunk", value } }).finish();
      assert.ok(encodeChunk(value).equals(generated), `${size} bytes`);
    }
  });

  it("give their chunk without a copy", () => {
    for (const size of sizes) {
      const value = randomBytes(size);
      const message = Buffer.from(CaptureResponse.encode({ body: { $case: "stateChunk", value } }).finish());
      const chunk = chunkIn(message);
      assert.ok(chunk?.equals(value), `${size} bytes`);
      assert.equal(chunk?.buffer, message.buffer);
    }
  });

  it("are left to the generated code where they are anything but one whole chunk", () => {
    const one = encodeChunk(randomBytes(300));
    const point = CaptureResponse.encode({ body: { $case: "end", value: { sizeBytes: 1, sha256: "" } } }).finish();
    const others = [
      Buffer.alloc(0),
      Buffer.from([0x12]),
      Buffer.from([0x12, 0x80]),
      Buffer.from([0x12, 0x80, 0x80, 0x80, 0x80, 0x01]),
      one.subarray(0, one.length - 1),
      Buffer.concat([one, Buffer.from([0])]),
      Buffer.concat([one, one]),
      Buffer.from(point),
    ];
    for (const other of others) assert.equal(chunkIn(other), undefined, other.subarray(0, 8).toString("hex"));
  });
});
