import assert from "node:assert/strict";
import { test } from "node:test";
import type { NumberSet } from "@cutline/proto/participant";
import fc from "fast-check";
import { BegunIds } from "../src/begun-ids.ts";
import { EndedIds } from "../src/ended-ids.ts";

function numbers({ first, through, also }: NumberSet): number[] {
  const all = [...also];
  for (let id = first; id <= through; id += 1) all.push(id);
  return all.sort((a, b) => a - b);
}

test("begun ids: the set says exactly what was added, in whatever order", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 10, max: 60 })), (ids) => {
      const begun = new BegunIds(10);
      for (const id of ids) begun.add(id);
      assert.deepEqual(
        numbers(begun.toNumberSet()),
        [...ids].sort((a, b) => a - b),
      );
    }),
  );
});

test("begun ids: a gap that too many ids have overtaken counts as begun, and the set stays small", () => {
  const begun = new BegunIds(1, 3);
  for (const id of [1, 3, 4, 6]) begun.add(id);
  assert.deepEqual(begun.toNumberSet(), { first: 1, through: 1, also: [3, 4, 6] });
  begun.add(8);
  assert.deepEqual(begun.toNumberSet(), { first: 1, through: 4, also: [6, 8] });
});

test("ended ids: what is taken in any portions is what was added, each once", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 80 })),
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 0, max: 9 }),
      (ids, last, alsoMax) => {
        const open = ids.filter((id) => id <= last);
        const ended = EndedIds.allBut(last, open);
        for (const id of ids) ended.add(id);
        const taken: number[] = [];
        for (let part = ended.take(alsoMax); part !== undefined; part = ended.take(alsoMax)) {
          assert.ok(part.also.length <= alsoMax);
          taken.push(...numbers(part));
        }
        const before = Array.from({ length: last }, (_, at) => at + 1);
        assert.deepEqual(
          taken.sort((a, b) => a - b),
          [...new Set([...before, ...ids])].sort((a, b) => a - b),
        );
        assert.equal(ended.empty, true);
      },
    ),
  );
});
