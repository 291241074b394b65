import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ReceiptBook } from "../../src/capture/receipts.ts";
import type { CallHost } from "../../src/dataplane/call/call-host.ts";
import { Gate } from "../../src/dataplane/call/gate.ts";
import { Calls } from "../../src/dataplane/calls.ts";

/** Calls that count how many ids they are told of. */
class CountingCalls extends Calls {
  readonly told: number[] = [];

  override outgoingEnded(id: number): void {
    this.told.push(id);
    super.outgoingEnded(id);
  }
}

function newCalls(): { calls: CountingCalls; book: ReceiptBook } {
  // None of these calls crosses a link, so nothing is asked of the host.
  const calls = new CountingCalls({} as CallHost, 1);
  return { calls, book: new ReceiptBook(calls, new Gate()) };
}

const ended = (first: number, through: number, ...also: number[]) => ({
  calls: [],
  outgoingEnded: { first, through, also },
});

describe("receipts of calls that have ended", () => {
  it("remember calls that have not come here yet, where the range is short", () => {
    const { calls, book } = newCalls();
    book.take(ended(7, 9, 12));
    for (const id of [7, 8, 9, 12]) calls.noteEnvironment(id);
    assert.deepEqual(calls.openOutgoingIds(), []);
    calls.noteEnvironment(10);
    assert.deepEqual(calls.openOutgoingIds(), [10]);
  });

  it("do not go through a long range one by one: an application that has run for long greets a new agent", () => {
    const { calls, book } = newCalls();
    for (const id of [5, 60_000, 200_000]) calls.noteEnvironment(id);
    book.take(ended(0, 99_999, 200_000));
    assert.equal(calls.told.length, 3, "of what it does not know, it looks at nothing");
    assert.deepEqual(calls.told, [5, 60_000, 200_000]);
    assert.deepEqual(calls.openOutgoingIds(), []);
    book.take(ended(0, Number.MAX_SAFE_INTEGER));
    assert.equal(calls.told.length, 3);
  });
});
