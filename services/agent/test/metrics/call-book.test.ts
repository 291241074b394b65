import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallBook, type CallDirection } from "../../src/metrics/call-book.ts";

function call(book: CallBook, peer: string, authority: string, method: string, direction: CallDirection = "outbound") {
  return book.begin(direction, peer, authority, method, undefined);
}

const namesOf = (book: CallBook) =>
  book.series.map(({ direction, names }) => `${direction} ${names.peer} ${names.authority} ${names.method}`);
const nothing = { sentBytes: 0, receivedBytes: 0 };

describe("CallBook", () => {
  it("counts a call once, by its first end", () => {
    const book = new CallBook();
    const one = call(book, "bank/b", "b:9000", "/Bank/Read");
    one.answered(["grpc-status", "5", "grpc-message", "no such account"]);
    one.answeredWith("14");
    one.close({ sentBytes: 10, receivedBytes: 20 });
    one.close({ sentBytes: 10, receivedBytes: 20 });
    const [series] = book.series;
    assert.deepEqual(
      series?.endedBy.flatMap((count, status) => (count > 0 ? [[status, count]] : [])),
      [[5, 1]],
    );
    assert.deepEqual([series?.sentBytes, series?.receivedBytes, series?.open], [10, 20, 0]);
    assert.equal(
      series?.durations.reduce((sum, count) => sum + count),
      1,
    );
  });

  it("takes a call that ends without an answer for a reset, and an answer without a status for none", () => {
    const book = new CallBook();
    call(book, "bank/b", "b:9000", "/Bank/Read").close(nothing);
    call(book, "bank/b", "b:9000", "/Bank/Read").answered([":status", "200"]);
    call(book, "bank/b", "b:9000", "/Bank/Read").answered(["grpc-status", "99"]);
    const [series] = book.series;
    assert.deepEqual([series?.endedBy[18], series?.endedBy[17], series?.endedBy[2]], [1, 1, 1]);
    assert.equal(series?.open, 2);
  });

  it("keeps directions, peers, authorities and methods apart, and finds each again", () => {
    const book = new CallBook();
    for (let round = 0; round < 3; round += 1) {
      call(book, "bank/b", "b:9000", "/Bank/Read");
      call(book, "bank/b", "b:9000", "/Bank/Write");
      call(book, "bank/c", "b:9000", "/Bank/Read");
      call(book, "bank/b", "c:9000", "/Bank/Read");
      call(book, "bank/b", "b:9000", "/Bank/Read", "inbound");
    }
    assert.deepEqual(namesOf(book), [
      "outbound bank/b b:9000 /Bank/Read",
      "outbound bank/b b:9000 /Bank/Write",
      "outbound bank/c b:9000 /Bank/Read",
      "outbound bank/b c:9000 /Bank/Read",
      "inbound bank/b b:9000 /Bank/Read",
    ]);
    assert.ok(book.series.every(({ begun }) => begun === 3));
  });

  it("counts what exceeds a limit as other, and loses no call", () => {
    const book = new CallBook({ methodsMax: 3, authoritiesMax: 2, peersMax: 2, seriesMax: 6 });
    let calls = 0;
    for (let i = 0; i < 2_000; i += 1) {
      call(book, `bank/${i % 7}`, `${i % 5}:9000`, `/Bank/${i}`, i % 2 === 0 ? "inbound" : "outbound");
      calls += 1;
    }
    // One more for each direction, for what no longer has a place by name.
    assert.ok(book.series.length <= 8, namesOf(book).join("\n"));
    assert.equal(
      book.series.reduce((sum, { begun }) => sum + begun, 0),
      calls,
    );
    assert.ok(namesOf(book).includes("outbound other other other"));
  });

  it("cuts names that are too long", () => {
    const book = new CallBook();
    call(book, "bank/b", "b:9000", `/${"x".repeat(10_000)}`);
    call(book, "bank/b", "b:9000", `/${"x".repeat(10_000)}`);
    assert.deepEqual(
      book.series.map(({ names, begun }) => [names.method.length, begun]),
      [[200, 2]],
    );
  });
});
