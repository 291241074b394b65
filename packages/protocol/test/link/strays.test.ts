import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createIncoming, noteArrival, Strays } from "@cutline/protocol";

function channelWith(frames: number, ...markers: number[]) {
  const channel = createIncoming("l:0", "bank/b");
  for (let number = 1; number <= frames; number += 1) noteArrival(channel, number);
  for (const markerNumber of markers) channel.barriers.push({ key: `s${markerNumber}/1`, markerNumber });
  return channel;
}

const numbers = (frames: Iterable<{ readonly number: number }>) => [...frames].map(({ number }) => number);

describe("frames that nobody receives", () => {
  it("count as delivered at once where no marker stands before them", () => {
    const channel = channelWith(3, 2);
    const prepared: number[] = [];
    const strays = new Strays<{ number: number }>(channel, 1_000, ({ number }) => prepared.push(number));
    assert.equal(strays.take({ number: 1 }, 10), "accounted");
    assert.equal(strays.take({ number: 3 }, 10), "waits");
    assert.deepEqual([channel.deliveredCount, channel.deliveredMax, strays.length], [1, 1, 1]);
    assert.deepEqual([numbers(strays), prepared], [[3], [3]], "only what is kept is prepared for that");
  });

  it("count as delivered, each once, when the markers before them are cut for", () => {
    const channel = channelWith(6, 2, 5);
    const strays = new Strays<{ number: number }>(channel, 1_000);
    for (const number of [3, 4, 6]) strays.take({ number }, 10);
    assert.deepEqual(numbers(strays.settle()), []);
    channel.barriers.shift();
    assert.deepEqual(numbers(strays.settle()), [3, 4]);
    assert.deepEqual(numbers(strays), [6]);
    channel.barriers.shift();
    assert.deepEqual(numbers(strays.settle()), [6]);
    assert.deepEqual([channel.deliveredCount, channel.deliveredSum, strays.length, strays.bytes], [3, 13, 0, 0]);
  });

  it("make snapshots give way at half of the limit, and break the protocol beyond it", () => {
    const channel = channelWith(9, 1);
    const strays = new Strays<{ number: number }>(channel, 4 * 228);
    const outcomes = [2, 3, 4, 5, 6].map((number) => strays.take({ number }, 100));
    assert.deepEqual(outcomes, ["waits", "waits", "crowded", "crowded", "full"]);
    channel.barriers.length = 0;
    strays.settle();
    channel.barriers.push({ key: "s7/1", markerNumber: 7 });
    assert.equal(strays.take({ number: 8 }, 100), "waits", "what was accounted for leaves room");
  });

  it("cost something even when they are empty", () => {
    const strays = new Strays<{ number: number }>(channelWith(99, 1), 1_000);
    let taken = 2;
    while (strays.take({ number: taken }, 0) !== "full") taken += 1;
    assert.ok(taken < 20);
  });
});
