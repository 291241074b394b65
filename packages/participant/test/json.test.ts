import assert from "node:assert/strict";
import { test } from "node:test";
import { writeJson } from "../src/json.ts";

class Account {
  cents = 5;
  get doubled(): number {
    return Number.NaN;
  }
}

test("what JSON can write is written as JSON.stringify does", () => {
  const shared = { a: 1 };
  const deep = Array.from({ length: 1_000 }).reduce<unknown>((inner) => ({ inner }), 1);
  const values: unknown[] = [
    ...[null, true, "é", 1.5, [], {}, [[], {}], { a: undefined, b: () => 1, c: null }, [undefined, () => 1]],
    ...[new Account(), new Date(0), [shared, shared], Buffer.from("hi"), Uint8Array.of(1, 2), Object.create(null)],
    ...[{ toJSON: () => ({ written: 1 }) }, Object.create({ inherited: 1 }), { a: [new Date(1)] }, deep],
  ];
  for (const value of values) assert.equal(writeJson(value), JSON.stringify(value));
  assert.equal(writeJson(undefined), undefined);
});

test("what JSON would lose is refused, wherever it stands, and with its name", () => {
  const within = (value: unknown) => ({ list: [1, { deep: [{ lost: value }] }] });
  const lost: [unknown, RegExp][] = [
    ...[new Map(), new (class extends Map {})(), new Set([1]), new WeakMap(), new WeakSet()].map(
      (value): [unknown, RegExp] => [value, /^state\(\) returned a .*at "lost"/],
    ),
    [Number.NaN, /NaN at "lost"/],
    [Number.POSITIVE_INFINITY, /Infinity at "lost"/],
    [{ toJSON: () => new Map() }, /a Map at "lost"/],
  ];
  for (const [value, message] of lost) {
    assert.throws(() => writeJson(within(value)), { code: "StateNotSerialisable", message });
  }
  assert.throws(() => writeJson({ a: Object.assign(Object.create(null), { b: [Number.NaN] }) }), /NaN at "0"/);
});

test("cycles end, however many ways lead through them", () => {
  const parent: { children: unknown[] } = { children: [] };
  parent.children = Array.from({ length: 10 }, () => ({ parent, more: [parent, parent] }));
  assert.throws(() => writeJson(parent), /circular/i);
});
