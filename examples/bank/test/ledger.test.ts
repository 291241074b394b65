import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Ledger } from "../src/ledger.ts";

describe("Ledger", () => {
  it("moves money out when it is sent and in when it is received or comes back refused", () => {
    const ledger = new Ledger("branch-1", 1_000);
    ledger.debit(300, "transfersSent");
    ledger.credit(50, "settlementsReceived");
    ledger.takeBack(300);
    const { balanceCents, unresolvedCents, counters } = ledger.state();
    assert.deepEqual({ balanceCents, unresolvedCents }, { balanceCents: 1_050, unresolvedCents: 0 });
    assert.equal(counters.transfersSent, 1);
    assert.equal(counters.settlementsReceived, 1);
    assert.equal(counters.takenBack, 1);
  });

  it("keeps the amount of a failed call in sight, with the status it failed with", () => {
    const ledger = new Ledger("branch-1", 1_000);
    ledger.debit(300, "routesSent");
    ledger.fail("UNAVAILABLE", 300);
    ledger.fail("UNAVAILABLE", 0);
    const { balanceCents, unresolvedCents, failures } = ledger.state();
    assert.deepEqual(
      { balanceCents, unresolvedCents, failures },
      { balanceCents: 700, unresolvedCents: 300, failures: { UNAVAILABLE: 2 } },
    );
  });

  it("sends neither more than there is nor a part of a cent", () => {
    const ledger = new Ledger("branch-1", 1_000);
    for (const cents of [1_001, 0, -1, 0.5, Number.NaN]) {
      assert.throws(() => ledger.debit(cents, "transfersSent"), RangeError);
    }
    assert.equal(ledger.balanceCents, 1_000);
  });

  it("shows a state of its own, which later bookings do not change", () => {
    const ledger = new Ledger("branch-1", 1_000);
    const before = ledger.state();
    ledger.debit(1, "transfersSent");
    ledger.fail("CANCELLED", 1);
    assert.deepEqual(before, new Ledger("branch-1", 1_000).state());
  });
});
