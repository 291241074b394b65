import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { addToSum, NumberSet, sumModulus, sumOfRange } from "@cutline/protocol";
import fc from "fast-check";

describe("a number set", () => {
  it("holds what a set holds, in ascending ranges that do not touch", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 120 }), (numbers) => {
        const model = new Set<number>();
        const set = new NumberSet();
        for (const number of numbers) {
          assert.equal(set.add(number), model.has(number) ? "duplicate" : "added");
          model.add(number);
          assert.equal(set.count, model.size);
        }
        const ranges = set.ranges();
        const listed = ranges.flatMap(({ first, last }) =>
          Array.from({ length: last - first + 1 }, (_, i) => first + i),
        );
        assert.deepEqual(
          listed,
          [...model].sort((a, b) => a - b),
        );
        ranges.slice(1).forEach((range, index) => {
          assert(range.first > (ranges[index]?.last ?? 0) + 1, "neighbours are joined");
        });
      }),
      { numRuns: 1_000 },
    );
  });

  it("gives its ranges away as copies", () => {
    const set = new NumberSet();
    set.add(1);
    const before = set.ranges();
    set.add(2);
    assert.deepEqual(before, [{ first: 1, last: 1 }]);
  });
});

describe("the sum of a range", () => {
  it("is what adding its numbers one by one gives", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 52 - 300 }), fc.integer({ min: -5, max: 200 }), (first, length) => {
        let naive = 0;
        for (let number = first; number < first + length; number += 1) naive = addToSum(naive, number);
        assert.equal(sumOfRange(first, first + length - 1), naive);
      }),
      { numRuns: 1_000 },
    );
  });

  it("stays exact where doubles are not", () => {
    const last = 2 ** 40;
    const exact = (BigInt(last) * (BigInt(last) + 1n)) / 2n;
    assert.equal(sumOfRange(1, last), Number(exact % BigInt(sumModulus)));
  });

  it("of nothing is 0", () => {
    assert.equal(sumOfRange(1, 0), 0);
  });

  it("wraps below the modulus", () => {
    assert.equal(addToSum(sumModulus - 1, 1), 0);
    assert.equal(addToSum(sumModulus - 1, sumModulus - 1), sumModulus - 2);
  });
});
