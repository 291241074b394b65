import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { readDelimited } from "../../src/state/delimited.ts";
import { delimited } from "../http/support/bank.ts";
import { collect } from "./support.ts";

async function* split(bytes: Buffer, chunkBytes: number) {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    yield bytes.subarray(at, at + chunkBytes);
  }
}

async function recordsOf(bytes: Buffer, chunkBytes: number, recordBytesMax = 1_000): Promise<Buffer[]> {
  return collect(readDelimited(split(bytes, chunkBytes), recordBytesMax));
}

describe("readDelimited", () => {
  it("gives the records back, however the stream is cut into chunks", async () => {
    const record = fc.uint8Array({ maxLength: 400 });
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 20 }), fc.integer({ min: 1, max: 600 }), async (records, size) => {
        const read = await recordsOf(delimited(records), size);
        assert.deepEqual(
          read,
          records.map((each) => Buffer.from(each)),
        );
      }),
    );
  });

  it("refuses a stream that ends inside a record, at any byte", async () => {
    const bytes = delimited([Buffer.alloc(200, 1), Buffer.alloc(3, 2)]);
    for (const end of [1, 2, 100, 201, 203, 204]) {
      await assert.rejects(recordsOf(bytes.subarray(0, end), 7), { code: "StateCorrupt" }, `cut at ${end}`);
    }
    // Two bytes of length and 200 of the record.
    assert.equal((await recordsOf(bytes.subarray(0, 202), 7)).length, 1);
  });

  it("refuses a record above recordBytesMax before it makes room for it", async () => {
    await assert.rejects(recordsOf(delimited([Buffer.alloc(1_001)]), 64), { code: "StateTooLarge" });
    await assert.rejects(recordsOf(Buffer.from([0xff, 0xff, 0xff, 0x7f]), 1), { code: "StateTooLarge" });
    assert.equal((await recordsOf(delimited([Buffer.alloc(1_000)]), 64)).length, 1);
  });

  it("refuses a length that goes on for ever", async () => {
    await assert.rejects(recordsOf(Buffer.alloc(20, 0x80), 1), { code: "StateCorrupt" });
  });
});
