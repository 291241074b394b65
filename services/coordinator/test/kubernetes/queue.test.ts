import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { afterEach, describe, it } from "node:test";
import { backOff } from "../../src/kubernetes/back-off.ts";
import { type QueueAnswer, WorkQueue } from "../../src/kubernetes/queue.ts";

const open: WorkQueue[] = [];

function queueOf(work: (key: string) => Promise<QueueAnswer>, options: { workers?: number; retries?: number[] } = {}) {
  const queue = new WorkQueue({
    work,
    onFailure: (_key, _error, retryMs) => options.retries?.push(retryMs),
    workers: options.workers ?? 2,
    backOffMsMin: 1,
    backOffMsMax: 8,
    random: () => 0,
  });
  queue.start();
  open.push(queue);
  return queue;
}

const done: QueueAnswer = { outcome: "done" };

describe("the work queue", () => {
  afterEach(async () => {
    for (const queue of open.splice(0)) await queue.stop();
  });

  it("works on a key once at a time, and once more when it was added meanwhile", async () => {
    const passes = new EventEmitter();
    const gate = Promise.withResolvers<void>();
    const seen: string[] = [];
    let atOnce = 0;
    const queue = queueOf(async (key) => {
      atOnce += 1;
      assert.equal(atOnce, 1);
      seen.push(key);
      if (seen.length === 1) await gate.promise;
      atOnce -= 1;
      if (seen.length === 2) passes.emit("second");
      return done;
    });
    queue.add("a");
    for (let times = 0; times < 5; times += 1) queue.add("a");
    const second = once(passes, "second");
    gate.resolve();
    await second;
    await queue.stop();
    assert.deepEqual(seen, ["a", "a"]);
  });

  it("works on no more keys at a time than it has workers", async () => {
    let [atOnce, most, left] = [0, 0, 12];
    const finished = Promise.withResolvers<void>();
    const queue = queueOf(
      async () => {
        atOnce += 1;
        most = Math.max(most, atOnce);
        await new Promise(setImmediate);
        atOnce -= 1;
        left -= 1;
        if (left === 0) finished.resolve();
        return done;
      },
      { workers: 3 },
    );
    for (let key = 0; key < 12; key += 1) queue.add(String(key));
    await finished.promise;
    assert.equal(most, 3);
  });

  it("tries a failed key later and later, while others go on, and starts small again after a success", async () => {
    const retries: number[] = [];
    const finished = Promise.withResolvers<void>();
    const passes: string[] = [];
    const queue = queueOf(
      async (key) => {
        passes.push(key);
        const tries = passes.filter((each) => each === "bad").length;
        if (key === "bad" && tries !== 6) {
          if (tries === 8) finished.resolve();
          throw new Error("no");
        }
        return tries === 6 ? { outcome: "again", afterMs: 0 } : done;
      },
      { retries },
    );
    queue.add("bad");
    queue.add("good");
    await finished.promise;
    await queue.stop();
    assert.deepEqual(retries.slice(0, 6), [1, 2, 4, 8, 8, 1]);
    assert.ok(passes.indexOf("good") < 3);
  });

  it("cuts a planned return short when the key is added", async () => {
    const finished = Promise.withResolvers<void>();
    let passes = 0;
    const queue = queueOf(async () => {
      passes += 1;
      if (passes === 2) finished.resolve();
      return { outcome: "again", afterMs: 3_600_000 };
    });
    queue.add("a");
    await new Promise(setImmediate);
    queue.add("a");
    await finished.promise;
  });

  it("waits for what is worked on when it stops, and forgets the rest", async () => {
    const gate = Promise.withResolvers<void>();
    let ended = 0;
    const queue = queueOf(
      async () => {
        await gate.promise;
        ended += 1;
        return done;
      },
      { workers: 1 },
    );
    queue.add("a");
    queue.add("b");
    const stopped = queue.stop();
    gate.resolve();
    await stopped;
    assert.equal(ended, 1);
    queue.add("c");
    assert.equal(queue.depth, 0);
  });
});

it("back-off doubles up to its maximum, and chance takes at most a half", () => {
  assert.deepEqual(
    [1, 2, 3, 4, 1_000].map((failures) => backOff(failures, 100, 500, 0)),
    [100, 200, 400, 500, 500],
  );
  assert.equal(backOff(3, 100, 500, 1), 200);
});
