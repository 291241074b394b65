import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createLeaseSeat, decideLease, type LeaseRecord, mayWrite, noteHeld } from "../../src/kubernetes/lease.ts";

const durationMs = 15_000;
const record = (holder: string, term: number, version = "1"): LeaseRecord => ({ holder, term, version, durationMs });

describe("the Lease follows the term of the store", () => {
  it("is made, taken when it is free, and renewed by its holder", () => {
    const seat = createLeaseSeat("a", durationMs);
    assert.deepEqual(decideLease(seat, undefined, 3, 0), { do: "create", term: 3 });
    assert.deepEqual(decideLease(seat, record("", 2), 3, 0), { do: "take", term: 3 });
    assert.deepEqual(decideLease(seat, record("a", 3), 3, 0), { do: "renew", term: 3 });
    assert.deepEqual(decideLease(seat, record("a", 2), 3, 0), { do: "take", term: 3 });
  });

  it("is not touched by a replica that does not lead, but to let go of it", () => {
    const seat = createLeaseSeat("a", durationMs);
    assert.equal(decideLease(seat, undefined, undefined, 0).do, "stand");
    assert.equal(decideLease(seat, record("", 1), undefined, 1e9).do, "stand");
    assert.equal(decideLease(seat, record("b", 1), undefined, 1e9).do, "stand");
    assert.equal(decideLease(seat, record("a", 1), undefined, 0).do, "release");
  });

  it("goes to a higher term at once", () => {
    const seat = createLeaseSeat("b", durationMs);
    assert.deepEqual(decideLease(seat, record("a", 3), 4, 0), { do: "take", term: 4 });
  });

  it("goes to a lower term only when it has not been renewed for its whole duration, by the watcher's clock", () => {
    const seat = createLeaseSeat("b", durationMs);
    assert.equal(decideLease(seat, record("a", 9, "1"), 4, 100).do, "stand");
    assert.equal(decideLease(seat, record("a", 9, "2"), 4, 15_000).do, "stand");
    assert.equal(decideLease(seat, record("a", 9, "2"), 4, 29_999).do, "stand");
    assert.equal(decideLease(seat, record("a", 9, "2"), 4, 30_000).do, "take");
  });

  it("allows writes only in the term in which it is held, and only while it lasts", () => {
    const seat = createLeaseSeat("a", durationMs);
    noteHeld(seat, 3, 1_000);
    assert.equal(mayWrite(seat, 3, 15_999), true);
    assert.equal(mayWrite(seat, 3, 16_000), false);
    assert.equal(mayWrite(seat, 4, 1_000), false);
    assert.equal(mayWrite(seat, undefined, 1_000), false);
    decideLease(seat, record("b", 4), 3, 2_000);
    assert.equal(mayWrite(seat, 3, 2_000), false, "it has been passed over");
  });

  it("never goes from a higher term to a lower one that has not waited, whatever replicas believe of themselves", () => {
    // Each step: one replica takes a turn; before it, the store may grant it a term. The other one need not know yet.
    const step = fc.record({
      who: fc.constantFrom(0, 1, 2),
      grant: fc.boolean(),
      afterMs: fc.integer({ min: 0, max: 9_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const seats = ["a", "b", "c"].map((self) => createLeaseSeat(self, durationMs));
        const terms: (number | undefined)[] = [undefined, undefined, undefined];
        let lease: LeaseRecord | undefined;
        let [nowMs, writtenAtMs, granted, version] = [0, 0, 0, 0];
        for (const { who, grant, afterMs } of steps) {
          nowMs += afterMs;
          if (grant) {
            granted += 1;
            terms[who] = granted;
          }
          const seat = seats[who];
          assert.ok(seat);
          const decision = decideLease(seat, lease, terms[who], nowMs);
          if (decision.do === "stand" || decision.do === "release") {
            assert.equal(mayWrite(seat, terms[who], nowMs), false, "who does not hold it does not write");
            continue;
          }
          const lower = lease !== undefined && decision.term < lease.term;
          assert.ok(!lower || nowMs - writtenAtMs >= durationMs, "a higher term was passed over");
          version += 1;
          lease = record(seat.self, decision.term, String(version));
          writtenAtMs = nowMs;
          noteHeld(seat, decision.term, nowMs);
        }
      }),
    );
  });
});
