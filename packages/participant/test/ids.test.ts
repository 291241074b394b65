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

test("settled ids: no other is ever taken for one, and those settled last are all known", () => {
  const act = fc.record({
    what: fc.constantFrom("begin" as const, "settle" as const),
    id: fc.integer({ min: 1, max: 40 }),
  });
  fc.assert(
    fc.property(
      fc.array(act, { maxLength: 120 }),
      fc.nat(6),
      fc.integer({ min: 1, max: 5 }),
      (acts, sparseMax, kept) => {
        const begun = new BegunIds(1, sparseMax, kept);
        const settled = new Set<number>();
        const began = new Set<number>();
        const asked: number[] = [];
        for (const { what, id } of acts) {
          if (what === "settle") {
            begun.settle(id);
            asked.push(id);
            if (!began.has(id)) settled.add(id);
          } else if (!began.has(id)) {
            const verdict = begun.isSettled(id);
            if (verdict) assert.ok(settled.has(id), `${id} was never settled`);
            // To ask again need not count as the later one, but what is asked may always displace.
            else if (settled.has(id))
              assert.ok(new Set(asked.slice(asked.indexOf(id))).size > kept, `${id} was forgotten`);
            if (settled.has(id)) continue;
            began.add(id);
            begun.add(id);
          }
        }
        const reported = new Set(numbers(begun.toNumberSet()));
        for (const id of [...settled, ...began]) assert.ok(reported.has(id), `${id} counts as begun`);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("settled ids: where none below is missing, all are known for ever", () => {
  const begun = new BegunIds(1, 3, 2);
  for (let id = 1; id <= 1_000; id += 1) {
    if (id % 3 === 0) begun.add(id);
    else begun.settle(id);
  }
  for (let id = 1; id <= 1_000; id += 1) if (id % 3 !== 0) assert.ok(begun.isSettled(id));
  assert.equal(begun.isSettled(1_001), false);
});

test("settled ids: above a gap that nobody settles, those settled longest ago are forgotten", () => {
  const begun = new BegunIds(1, 3, 2);
  for (const id of [3, 5, 7, 9]) begun.settle(id);
  assert.deepEqual(
    [1, 3, 5, 7, 9].filter((id) => begun.isSettled(id)),
    [3, 5, 7, 9],
  );
  begun.settle(11);
  assert.deepEqual(
    [1, 2, 3, 4, 5, 7, 8, 9, 10, 11].filter((id) => begun.isSettled(id)),
    [9, 11],
  );
});

test("settled ids: what has begun takes no place among them", () => {
  const begun = new BegunIds(1, 100, 2);
  for (let id = 1; id <= 10; id += 1) begun.add(id);
  begun.settle(12);
  for (let id = 1; id <= 10; id += 1) begun.settle(id);
  assert.deepEqual(
    [1, 5, 10, 11, 12].filter((id) => begun.isSettled(id)),
    [12],
  );
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
