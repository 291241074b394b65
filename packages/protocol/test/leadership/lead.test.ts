import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  defaultSnapshotPolicy,
  Lead,
  type SnapshotState,
  type StoredSnapshot,
  startRefusal,
  stepLease,
} from "../../src/index.ts";
import { a, spec } from "../lifecycle/support.ts";

const limits = { concurrentMax: 2, minimumPauseMs: 100 };
const attached = new Set(["bank/a"]);

/** Leads with this term until 1300. */
function leading(term: number): Lead<string> {
  const lead = new Lead<string>(300, defaultSnapshotPolicy);
  grant(lead, term, 1_000);
  return lead;
}

function grant(lead: Lead<string>, term: number, nowMs: number): void {
  stepLease(lead.lease, { type: "turn", nowMs });
  stepLease(lead.lease, { type: "acquired", term, succession: "takeOver", nowMs });
  stepLease(lead.lease, { type: "takenOver", nowMs });
}

function stored(id: string, fields: Partial<StoredSnapshot> = {}): StoredSnapshot {
  const inherited = { attempt: 2, startedAtMs: 5, earlierAttempts: [], processes: [a] };
  return { spec: spec({ id }), phase: "Cutting", term: 3, inherited, ...fields };
}

function ids(adopted: SnapshotState[] | "passedOver"): string[] | "passedOver" {
  return adopted === "passedOver" ? adopted : adopted.map((state) => state.spec.id);
}

describe("a start", () => {
  const facts = { term: 7, running: 0, lastStartMs: undefined, nowMs: 1_000, attached };

  it("is refused with what is in its way", () => {
    const code = (overrides: object, initiator = "") =>
      startRefusal(initiator, { ...facts, ...overrides }, limits)?.code;
    assert.equal(code({}), undefined);
    assert.equal(code({ term: undefined }), "NotLeading");
    assert.equal(code({ running: 2 }), "TooManySnapshots");
    assert.equal(code({ lastStartMs: 950 }), "TooSoon");
    assert.equal(code({ lastStartMs: 900 }), undefined);
    assert.equal(code({ attached: new Set() }), "NoProcesses");
    assert.equal(code({}, "bank/b"), "UnknownInitiator");
    assert.equal(code({}, "bank/a"), undefined);
  });

  it("says when it is of use to ask again", () => {
    assert.equal(startRefusal("", { ...facts, lastStartMs: 950 }, limits)?.retryAfterMs, 50);
    assert.equal(startRefusal("bank/b", facts, limits)?.retryAfterMs, undefined);
  });

  it("counts as running from its creation on, and is driven when the store has it", () => {
    const lead = leading(7);
    const creation = lead.create(spec({ id: "s" }), 7, 1_000);
    assert.equal(lead.running, 1);
    assert.equal(lead.isLive("s"), true);
    assert.deepEqual(ids(lead.adopt(lead.search(), 7, [stored("s")], 1_000)), []);
    assert.equal(lead.refusal("", attached, limits, 1_050)?.code, "TooSoon");
    assert.equal(lead.refusal("", attached, limits, 1_100), undefined);
    assert.equal(lead.created(creation, "created", 1_010), "open");
    lead.open("s", "session");
    assert.equal(lead.find("s"), "session");
    lead.ended("s", "another");
    assert.equal(lead.running, 1);
    lead.ended("s", "session");
    assert.equal(lead.running, 0);
  });

  it("finds itself where its creation was repeated", () => {
    const lead = leading(7);
    assert.equal(lead.created(lead.create(spec(), 7, 1_000), "exists", 1_010), "open");
  });

  it("that found another one with its key has not been", () => {
    const lead = leading(7);
    const creation = lead.create(spec(), 7, 1_000);
    assert.equal(lead.created(creation, "other", 1_010), "existing");
    assert.equal(lead.refusal("", attached, limits, 1_020), undefined);
    assert.equal(lead.isLive("s1"), false);
  });

  it("is not driven when the lead was lost meanwhile, though it was won again (I9)", () => {
    const lead = leading(7);
    const creation = lead.create(spec(), 7, 1_000);
    const other = lead.create(spec({ id: "s2" }), 7, 1_000);
    assert.equal(lead.created(lead.create(spec({ id: "s3" }), 7, 1_000), "fenced", 1_010), "notLeading");
    assert.equal(lead.created(creation, "created", 1_300), "notLeading");
    stepLease(lead.lease, { type: "turn", nowMs: 1_300 });
    stepLease(lead.lease, { type: "acquired", term: 8, succession: "takeOver", nowMs: 1_300 });
    stepLease(lead.lease, { type: "takenOver", nowMs: 1_300 });
    assert.equal(lead.created(other, "created", 1_310), "notLeading");
    assert.equal(lead.running, 0);
  });

  it("with an unknown outcome is found later, by who looks for what runs", () => {
    const lead = leading(7);
    assert.equal(lead.created(lead.create(spec(), 7, 1_000), "unknown", 1_010), "unknown");
    assert.deepEqual(ids(lead.adopt(lead.search(), 7, [stored("s1", { phase: "Pending" })], 1_020)), ["s1"]);
  });

  it("has a time of its own", () => {
    const lead = leading(7);
    assert.deepEqual([lead.creationMs(1_000), lead.creationMs(1_000), lead.creationMs(500)], [1_000, 1_001, 1_002]);
  });
});

describe("a take-over", () => {
  it("drives what runs and nobody here drives, with the attempt that it had", () => {
    const lead = leading(7);
    lead.open("driven", "session");
    const found = [stored("s"), stored("driven"), stored("done", { phase: "Completed" }), stored("own", { term: 7 })];
    const adopted = lead.adopt(lead.search(), 7, found, 1_010);
    assert.deepEqual(ids(adopted), ["s", "own"]);
    assert.ok(adopted !== "passedOver");
    assert.deepEqual([adopted[0]?.attempt, adopted[0]?.owned, adopted[0]?.nowMs], [2, false, 1_010]);
  });

  it("is not made of what has ended here since the store was asked (I9)", () => {
    const lead = leading(7);
    const first = lead.search();
    const second = lead.search();
    assert.deepEqual(ids(lead.adopt(first, 7, [stored("s")], 1_010)), ["s"]);
    lead.open("s", "session");
    lead.ended("s", "session");
    assert.deepEqual(ids(lead.adopt(second, 7, [stored("s"), stored("t")], 1_020)), ["t"]);
    assert.deepEqual(ids(lead.adopt(lead.search(), 7, [stored("s")], 1_030)), ["s"]);
  });

  it("is not made of what a later leader has written, nor in a term that is over (I8, I9)", () => {
    const lead = leading(7);
    assert.equal(lead.adopt(lead.search(), 7, [stored("s"), stored("t", { term: 8 })], 1_010), "passedOver");
    assert.deepEqual(ids(lead.adopt(lead.search(), 7, [stored("t", { term: 8, phase: "Failed" })], 1_010)), []);
    assert.equal(lead.adopt(lead.search(), 6, [stored("s")], 1_010), "passedOver");
    assert.equal(lead.adopt(lead.search(), 7, [stored("s")], 1_300), "passedOver");
    grant(lead, 9, 1_300);
    assert.equal(lead.adopt(lead.search(), 7, [stored("s")], 1_310), "passedOver");
    assert.deepEqual(ids(lead.adopt(lead.search(), 9, [stored("s")], 1_310)), ["s"]);
  });

  it("gives the agents time to come back, but where nobody led before", () => {
    const lead = leading(7);
    lead.gain(1_000, 80);
    assert.deepEqual(lead.beginning([a]), { type: "begin", processes: [a], notBeforeMs: 1_080 });
    lead.taken("takeOver");
    assert.equal(lead.settledAtMs, 1_080);

    const first = leading(1);
    first.gain(1_000, 80);
    first.taken("first");
    assert.equal(first.settledAtMs, 0);
    // A store that has lost its data knows of no leader; this program does.
    first.gain(2_000, 80);
    first.taken("first");
    assert.equal(first.settledAtMs, 2_080);

    const inherits = leading(1);
    inherits.gain(1_000, 80);
    inherits.open("s", "session");
    inherits.taken("first");
    assert.equal(inherits.settledAtMs, 1_080);
  });

  it("by another leaves nothing here, and only the store is believed from the end of the lease on (I4)", () => {
    const lead = leading(7);
    lead.open("s", "session");
    assert.equal(lead.driven("s", 1_299), "session");
    assert.equal(lead.driven("s", 1_300), undefined);
    assert.deepEqual(lead.sessions(), ["session"]);
    assert.deepEqual(lead.lose(), ["session"]);
    assert.deepEqual([lead.running, lead.find("s")], [0, undefined]);
  });
});
