import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  createLeaseState,
  directoryVersion,
  holdsLease,
  type LeaseEffect,
  type LeaseInput,
  leadingTerm,
  nextTerm,
  stepLease,
  termEpochMs,
} from "../../src/index.ts";

type Untimed = LeaseInput extends infer I ? (I extends LeaseInput ? Omit<I, "nowMs"> : never) : never;

/** One replica, stepped by hand. */
class Replica {
  readonly lease = createLeaseState(300);
  nowMs = 1_000;

  step(input: Untimed, afterMs = 0): LeaseEffect[] {
    this.nowMs += afterMs;
    return stepLease(this.lease, { ...input, nowMs: this.nowMs } as LeaseInput);
  }

  get term(): number | undefined {
    return leadingTerm(this.lease, this.nowMs);
  }

  /** Leads with this term; the lease was asked for now. */
  lead(term: number): void {
    this.step({ type: "turn" });
    this.step({ type: "acquired", term, succession: "first" });
    this.step({ type: "takenOver" });
  }
}

const wait = { type: "wait", delayMs: 100 } as const;

describe("the lease", () => {
  it("is asked for, taken over in, and led in only then", () => {
    const replica = new Replica();
    assert.deepEqual(replica.step({ type: "turn" }), [{ type: "acquire" }]);
    assert.deepEqual(replica.step({ type: "acquired", term: 7, succession: "takeOver" }, 10), [
      { type: "takeOver", term: 7, succession: "takeOver" },
    ]);
    assert.equal(replica.term, undefined);
    assert.equal(holdsLease(replica.lease, 7, replica.nowMs), true);
    assert.deepEqual(replica.step({ type: "takenOver" }, 10), [
      { type: "lead", term: 7, succession: "takeOver" },
      wait,
    ]);
    assert.equal(replica.term, 7);
  });

  it("ends by this clock when it would have to be asked for at the latest, not when the answer came (I9)", () => {
    const replica = new Replica();
    replica.step({ type: "turn" });
    replica.step({ type: "acquired", term: 7, succession: "first" }, 250);
    replica.step({ type: "takenOver" });
    assert.equal(replica.term, 7);
    replica.nowMs += 49;
    assert.equal(replica.term, 7);
    replica.nowMs += 1;
    assert.equal(replica.term, undefined);
    assert.equal(holdsLease(replica.lease, 7, replica.nowMs), false);
  });

  it("is renewed from the time of the asking on", () => {
    const replica = new Replica();
    replica.lead(7);
    assert.deepEqual(replica.step({ type: "turn" }, 100), [{ type: "renew", term: 7 }]);
    assert.deepEqual(replica.step({ type: "renewed" }, 150), [wait]);
    assert.equal(leadingTerm(replica.lease, 1_399), 7);
    assert.equal(leadingTerm(replica.lease, 1_400), undefined);
  });

  it("is not prolonged by a renewal without an answer, and lost at its end", () => {
    const replica = new Replica();
    replica.lead(7);
    replica.step({ type: "turn" }, 100);
    assert.deepEqual(replica.step({ type: "unknown" }, 150), [wait]);
    assert.deepEqual(replica.step({ type: "turn" }, 50), [
      { type: "lose", term: 7, reason: "lease ran out" },
      { type: "acquire" },
    ]);
    assert.equal(holdsLease(replica.lease, 7, 1_000), false);
  });

  it("is lost where the store says so, and asked for again", () => {
    const replica = new Replica();
    replica.lead(7);
    replica.step({ type: "turn" }, 100);
    assert.deepEqual(replica.step({ type: "lost" }), [
      { type: "lose", term: 7, reason: "another replica took over" },
      wait,
    ]);
    assert.equal(replica.term, undefined);
    assert.deepEqual(replica.step({ type: "turn" }, 100), [{ type: "acquire" }]);
    assert.deepEqual(replica.step({ type: "held" }), [wait]);
  });

  it("is of no use to a replica that stood still while it took over (I9)", () => {
    const replica = new Replica();
    replica.step({ type: "turn" });
    replica.step({ type: "acquired", term: 7, succession: "takeOver" });
    assert.deepEqual(replica.step({ type: "takenOver" }, 300), [
      { type: "lose", term: 7, reason: "lease ran out" },
      wait,
    ]);
    assert.equal(replica.term, undefined);
  });

  it("is given up after a take-over that failed", () => {
    const replica = new Replica();
    replica.step({ type: "turn" });
    replica.step({ type: "acquired", term: 7, succession: "takeOver" });
    assert.deepEqual(replica.step({ type: "takeOverFailed" }, 10), [
      { type: "lose", term: 7, reason: "take-over failed" },
      wait,
    ]);
  });

  it("heeds no answer that it does not wait for", () => {
    const replica = new Replica();
    replica.lead(7);
    const stale: Untimed[] = [
      { type: "acquired", term: 9, succession: "first" },
      { type: "held" },
      { type: "renewed" },
      { type: "lost" },
      { type: "unknown" },
      { type: "takenOver" },
      { type: "takeOverFailed" },
    ];
    for (const input of stale) assert.deepEqual(replica.step(input, 200 / stale.length), [], input.type);
    assert.equal(replica.term, 7);
    assert.deepEqual(replica.step({ type: "turn" }).length, 1);
    assert.deepEqual(replica.step({ type: "turn" }), []);
  });

  it("is released at a stop, after what is on its way", () => {
    const idle = new Replica();
    idle.lead(7);
    const end = [{ type: "lose", term: 7, reason: "stopping" }, { type: "release", term: 7 }, { type: "stopped" }];
    assert.deepEqual(idle.step({ type: "stop" }), end);
    assert.deepEqual(idle.step({ type: "turn" }), []);
    assert.deepEqual(idle.step({ type: "stop" }), []);

    const asking = new Replica();
    asking.step({ type: "turn" });
    assert.deepEqual(asking.step({ type: "stop" }), []);
    assert.deepEqual(asking.step({ type: "acquired", term: 7, succession: "first" }), end);

    const takingOver = new Replica();
    takingOver.step({ type: "turn" });
    takingOver.step({ type: "acquired", term: 7, succession: "first" });
    assert.deepEqual(takingOver.step({ type: "stop" }), []);
    assert.deepEqual(takingOver.step({ type: "takenOver" }).slice(1), end);

    assert.deepEqual(new Replica().step({ type: "stop" }), [{ type: "stopped" }]);
  });
});

describe("terms and versions", () => {
  it("grow, whatever the clock says", () => {
    assert.equal(nextTerm(0, termEpochMs + 5_000.9), 5_000);
    assert.equal(nextTerm(9_000, termEpochMs + 5_000), 9_001);
    assert.equal(nextTerm(0, 0), 1);
  });

  it("of the directory grow with its changes and across terms", () => {
    assert.ok(directoryVersion(7, 4_095) < directoryVersion(8, 0));
    assert.equal(directoryVersion(7, 3) - directoryVersion(7, 0), 3);
    assert.ok(Number.isSafeInteger(directoryVersion(2 ** 41 - 1, 4_095)));
  });
});
