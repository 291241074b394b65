import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { IdTable } from "../src/id-table.ts";

describe("id table", () => {
  it("holds what a Map holds, whatever comes and goes", () => {
    const id = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 0x7fff_ffff }));
    const step = fc.record({ action: fc.constantFrom("set", "set", "delete"), id });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const table = new IdTable<{ readonly n: number }>();
        const expected = new Map<number, { readonly n: number }>();
        steps.forEach(({ action, id }, n) => {
          if (action === "set") {
            table.set(id, { n });
            expected.set(id, { n });
          } else assert.equal(table.delete(id), expected.delete(id));
          assert.equal(table.size, expected.size);
          assert.deepEqual(table.get(id), expected.get(id));
        });
        for (const [known, value] of expected) assert.deepEqual(table.get(known), value);
        const byNumber = (a: { n: number }, b: { n: number }) => a.n - b.n;
        assert.deepEqual(table.values().sort(byNumber), [...expected.values()].sort(byNumber));
      }),
    );
  });
});
