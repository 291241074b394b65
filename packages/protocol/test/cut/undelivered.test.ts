import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  createIncoming,
  createProcessState,
  gatherUndelivered,
  holdersOf,
  InvariantViolation,
  step,
  takeArrival,
} from "@cutline/protocol";

interface Call {
  readonly name: string;
  readonly kept: readonly { readonly number: number }[];
}

function call(name: string, ...numbers: number[]): Call {
  return { name, kept: numbers.map((number) => ({ number })) };
}

function link(id: string, calls: readonly Call[], strays: readonly number[] = []) {
  return {
    incoming: { id },
    calls: new Map(calls.map((each, index) => [index, each])),
    strays: strays.map((number) => ({ number })),
  };
}

describe("what has arrived and was not received", () => {
  it("is what calls keep and what strays wait, of every link, in the order of the numbers", () => {
    const links = [link("l1:0", [call("a", 9, 10), call("b", 2, 30)], [7]), link("l2:0", [])];
    const undelivered = gatherUndelivered(links, ({ kept }: Call) => kept);
    assert.deepEqual(
      [...undelivered.numbers],
      [
        ["l1:0", [2, 7, 9, 10, 30]],
        ["l2:0", []],
      ],
    );
    assert.equal(undelivered.find("l1:0", 30)?.call?.name, "b");
    assert.deepEqual(undelivered.find("l1:0", 7), { frame: { number: 7 }, call: undefined });
    assert.equal(undelivered.find("l1:0", 8), undefined);
    assert.equal(undelivered.find("l3:0", 2), undefined);
  });
});

describe("the path of a frame that arrives", () => {
  const ref = { snapshotId: "s", attempt: 1 };

  function cutWith(...channels: string[]) {
    const state = createProcessState("bank/a");
    for (const channel of channels) step(state, { type: "openIncoming", channel, peer: "bank/b" });
    step(state, { type: "start", ref, trigger: "start" });
    step(state, { type: "captured", ref, undelivered: new Map() });
    return state;
  }

  it("puts it into every recording of its channel, as `step` does", () => {
    const [beside, through] = [cutWith("l1:0", "l2:0"), cutWith("l1:0", "l2:0")];
    const incoming = beside.incoming.get("l1:0");
    assert.ok(incoming !== undefined);
    for (const number of [1, 2]) {
      const recordings = takeArrival(incoming, number);
      const { effects } = step(through, { type: "frameArrived", channel: "l1:0", number });
      assert.deepEqual(
        recordings.map((recording) => ({ type: "record", ref: recording.ref, channel: recording.channel, number })),
        effects.filter(({ type }) => type === "record"),
      );
    }
    assert.deepEqual(beside, through);
    assert.deepEqual(incoming.recordings[0]?.recorded.ranges(), [{ first: 1, last: 2 }]);
  });

  it("takes numbers in order and without gaps", () => {
    const channel = createIncoming("l:0", "bank/b");
    assert.deepEqual(takeArrival(channel, 1), []);
    for (const number of [1, 3]) assert.throws(() => takeArrival(channel, number), InvariantViolation);
    assert.equal(channel.lastNumber, 1);
  });
});

describe("the snapshots that hold a channel", () => {
  it("are those whose markers came by it and that have not cut", () => {
    const state = createProcessState("bank/a");
    step(state, { type: "openIncoming", channel: "l:0", peer: "bank/b" });
    const channel = state.incoming.get("l:0");
    assert.ok(channel !== undefined);
    const refs = [1, 2].map((attempt) => ({ snapshotId: "s", attempt }));
    refs.forEach((ref, at) => {
      step(state, { type: "markerArrived", channel: "l:0", number: at + 1, ref });
    });
    assert.deepEqual(holdersOf(state, channel), refs);
    const [first] = refs;
    assert.ok(first !== undefined);
    step(state, { type: "captureFailed", ref: first, code: "X", message: "x" });
    assert.deepEqual(holdersOf(state, channel), refs.slice(1));
  });
});
