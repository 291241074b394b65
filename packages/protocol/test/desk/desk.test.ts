import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import {
  createDeskState,
  type DeskEffect,
  type DeskInput,
  type DeskState,
  isDeskIdle,
  isOpenAttempt,
  nextExpiryMs,
  type OwedPart,
  openAttempts,
  stepDesk,
} from "@cutline/protocol";

const ref = { snapshotId: "s", attempt: 1 };
const other = { snapshotId: "t", attempt: 1 };
const limits = { snapshotsMax: 2, forgetAfterMs: 100 };

let state: DeskState<string, string>;
/** By content: what was owed last. */
let owed: Map<string, OwedPart<string>>;

/** Performs a step as a process would whose sending has this outcome, and tells its effects shortly. */
function tell(input: DeskInput<string, string>, outcome: "sent" | "detached" = "sent"): string[] {
  return stepDesk(state, input).map((effect) => perform(effect, outcome));
}

function perform(effect: DeskEffect<string, string>, outcome: "sent" | "detached"): string {
  switch (effect.type) {
    case "send":
      effect.said.outcome = outcome;
      return `send ${effect.said.report}`;
    case "upload":
      owed.set(effect.part.content, effect.part);
      return `upload ${effect.part.content}`;
    case "release":
      return `release ${effect.content}`;
    case "giveUp":
      return `giveUp ${effect.ref.snapshotId} ${effect.code}`;
    case "expired":
      return `expired ${effect.ref.snapshotId}`;
  }
}

function part(content: string): OwedPart<string> {
  const known = owed.get(content);
  if (known === undefined) throw new Error(`nobody owes ${content}`);
  return known;
}

const cut = (of = ref, nowMs = 0) =>
  ({ type: "cut", ref: of, report: `cut ${of.snapshotId}`, parts: ["local", "calls"], nowMs }) as const;
const closed = (recordedCount = 2, keptCount = recordedCount) =>
  ({
    type: "channelClosed",
    ref,
    channel: "c",
    recordedCount,
    keptCount,
    report: "channel c",
    part: "records",
    nowMs: 0,
  }) as const;
const failed = (of = ref) => ({ type: "failed", ref: of, report: `failed ${of.snapshotId}`, nowMs: 0 }) as const;
const stored = (content: string) => ({ type: "partEnded", part: part(content), outcome: "stored" }) as const;
const notWanted = (content: string) => ({ type: "partEnded", part: part(content), outcome: "notWanted" }) as const;
const lost = (content: string) =>
  ({ type: "partEnded", part: part(content), outcome: "failed", code: "Lost", message: "gone" }) as const;

beforeEach(() => {
  state = createDeskState(limits);
  owed = new Map();
});

describe("the desk: what a process owes the coordinator", () => {
  it("says reports and uploads parts, each once, and gives back what is stored", () => {
    assert.deepEqual(tell({ type: "noticed", ref, nowMs: 0 }), []);
    assert.deepEqual(tell(cut()), ["send cut s", "upload local", "upload calls"]);
    assert.deepEqual(tell(closed()), ["send channel c", "upload records"]);
    assert.deepEqual(tell(stored("local")), ["release local"]);
    assert.deepEqual(tell(stored("local")), [], "once");
  });

  it("says every report again after a welcome, in order, and uploads only what was not wanted", () => {
    tell(cut());
    tell(closed());
    tell(stored("local"));
    tell(notWanted("calls"));
    assert.deepEqual(tell({ type: "welcomed" }), ["send cut s", "send channel c", "upload calls"]);
    assert.deepEqual(tell({ type: "welcomed" }), ["send cut s", "send channel c"], "it is under way again");
    tell(notWanted("calls"));
    tell(cut(other));
    const again = ["send cut s", "send channel c", "upload calls", "send cut t"];
    assert.deepEqual(tell({ type: "welcomed" }), again);
  });

  it("keeps nothing of a channel that was empty but its report", () => {
    assert.deepEqual(tell(closed(0)), ["send channel c", "release records"]);
  });

  it("uploads nothing outside of the scope, also when it hears of that late", () => {
    tell(cut());
    tell(stored("calls"));
    assert.deepEqual(tell({ type: "begun", ref, store: false, remainingMs: 0, nowMs: 0 }), ["release local"]);
    assert.deepEqual(tell(closed()), ["send channel c", "release records"]);
    assert.deepEqual(tell(lost("local")), [], "what was broken off is of no matter");
    assert.deepEqual(tell({ type: "welcomed" }), ["send cut s", "send channel c"]);
  });

  it("says a failure and nothing else of the attempt any more, until that has ended", () => {
    tell(cut());
    assert.deepEqual(tell(failed()), ["release local", "release calls", "send failed s"]);
    assert.deepEqual(tell(failed()), [], "once");
    assert.deepEqual(tell(cut()), ["release local", "release calls"]);
    assert.deepEqual(tell(closed()), ["release records"]);
    assert.deepEqual(tell({ type: "forget", ref }), []);
    assert.deepEqual(tell({ type: "welcomed" }), ["send failed s"]);
    tell({ type: "ended", ref });
    assert.deepEqual(tell({ type: "welcomed" }), []);
  });

  it("forgets an attempt whose part is over, and drops everything of one that has ended", () => {
    tell(cut());
    tell(cut(other));
    assert.deepEqual(tell({ type: "forget", ref }), ["release local", "release calls"]);
    assert.deepEqual(tell({ type: "ended", ref }), []);
    assert.deepEqual(openAttempts(state), [other]);
    assert.deepEqual([isOpenAttempt(state, ref), isOpenAttempt(state, other)], [false, true]);
  });

  it("gives the capture up, once, when a part will not come or records are missing", () => {
    tell(cut());
    assert.deepEqual(tell(closed(3, 2)), ["giveUp s RecordsIncomplete", "release records"]);
    assert.deepEqual(tell(lost("local")), ["release local"], "once an attempt");
    tell(cut(other));
    assert.deepEqual(tell(lost("local")), ["release local", "giveUp t Lost"]);
  });

  it("has places for a limited number of attempts; a failure without one is said and not kept", () => {
    tell({ type: "noticed", ref, nowMs: 0 });
    tell({ type: "noticed", ref: other, nowMs: 0 });
    const third = { snapshotId: "u", attempt: 1 };
    assert.deepEqual(tell({ type: "noticed", ref: third, nowMs: 0 }), ["giveUp u TooManySnapshots"]);
    assert.deepEqual(tell(cut(third)), ["giveUp u TooManySnapshots", "release local", "release calls"]);
    assert.deepEqual(tell(failed(third)), ["send failed u"]);
    assert.deepEqual(tell({ type: "welcomed" }), []);
    assert.deepEqual(openAttempts(state), [ref, other]);
  });

  it("takes an attempt as ended of which no end is heard, some time after its own time is over", () => {
    assert.equal(nextExpiryMs(state), undefined);
    tell(cut(ref, 10));
    assert.equal(nextExpiryMs(state), 110);
    tell({ type: "begun", ref, store: true, remainingMs: 500, nowMs: 20 });
    assert.equal(nextExpiryMs(state), 620);
    tell({ type: "noticed", ref: other, nowMs: 30 });
    assert.equal(nextExpiryMs(state), 130, "that of the other");
    assert.deepEqual(tell({ type: "tick", nowMs: 129 }), []);
    assert.deepEqual(tell({ type: "tick", nowMs: 130 }), ["expired t"]);
    assert.deepEqual(tell({ type: "tick", nowMs: 620 }), ["release local", "release calls", "expired s"]);
    assert.deepEqual(tell({ type: "tick", nowMs: 9_999 }), []);
  });

  it("is idle when all is said on this attachment and nothing is under way", () => {
    const idle = () => isDeskIdle(state, "attached");
    tell({ type: "noticed", ref, nowMs: 0 });
    assert.equal(isDeskIdle(state, "detached"), true, "nothing was to be said");
    tell(cut(), "detached");
    tell(stored("local"));
    assert.equal(idle(), false);
    tell(notWanted("calls"));
    assert.equal(idle(), false, "the report was not sent");
    tell({ type: "welcomed" });
    assert.equal(idle(), false, "the part is under way again");
    tell(stored("calls"));
    assert.deepEqual([idle(), isDeskIdle(state, "detached")], [true, false]);
  });
});
