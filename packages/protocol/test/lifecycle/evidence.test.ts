import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createSnapshotState, defaultSnapshotPolicy, documentOf, phaseOf } from "../../src/index.ts";
import { a, b, closed, cut, Script, sent, spec } from "./support.ts";

const countMax = 2 ** 48;

function begun(policy = defaultSnapshotPolicy): Script {
  const script = new Script(createSnapshotState(spec(), policy));
  script.begin(a, b);
  return script;
}

/** Why the first attempt failed. */
function failure({ state }: Script): string | undefined {
  const reason = state.end?.reason ?? state.earlierAttempts[0]?.reason;
  return reason === undefined ? undefined : `${reason}: ${state.end?.message ?? state.earlierAttempts[0]?.message}`;
}

describe("evidence that cannot be", () => {
  it("is refused, count by count", () => {
    for (const name of ["sentAtCut", "markersSent", "outboxCount", "outboxMessages"] as const) {
      const script = begun();
      script.cut(a, cut({ outgoing: [{ ...sent("l:0", b.id, 5), [name]: countMax + 1 }] }));
      assert.match(
        failure(script) ?? "",
        new RegExp(`^EvidenceInvalid: process bank/a .* l:0 has ${name} 2814749767106`),
      );
    }
    const counts = ["markerNumber", "markersReceived", "deliveredAtCut", "deliveredMax", "recordedCount", "messages"];
    for (const name of counts) {
      const script = begun();
      script.closed(b, { ...closed("l:0", a.id, 4, 5), [name]: countMax + 1 });
      assert.match(failure(script) ?? "", new RegExp(`^EvidenceInvalid: .* channel l:0 has ${name} `));
    }
    for (const range of [
      { first: 1, last: countMax + 1 },
      { first: -1, last: 1 },
      { first: Number.NaN, last: 1 },
    ]) {
      const script = begun();
      script.closed(b, { ...closed("l:0", a.id, 4, 5), recorded: [range] });
      assert.match(failure(script) ?? "", /^EvidenceInvalid/);
    }
  });

  it("begins with more than a frame's number can say; sums may be larger", () => {
    const script = begun();
    const most = { ...sent("l:0", b.id, countMax), outboxMessages: countMax, markersSentSum: 2 ** 52 - 1 };
    script.cut(a, cut({ outgoing: [most] }));
    script.closed(b, { ...closed("l:0", a.id, 4, 5), messages: countMax, deliveredSum: 2 ** 52 - 1 });
    assert.equal(failure(script), undefined);
  });

  it("cannot make a document of numbers that are no safe integers", () => {
    const script = begun();
    const outgoing = Array.from({ length: 64 }, (_, n) => ({ ...sent(`l:${n}`, b.id, 5), outboxMessages: countMax }));
    script.cut(a, cut({ outgoing }));
    assert.equal(documentOf(script.state).progress.inFlightMessages, Number.MAX_SAFE_INTEGER);
  });
});

describe("evidence without end", () => {
  it("has so many channels in an attempt, as listed and as reported", () => {
    const policy = { ...defaultSnapshotPolicy, channelsMax: 3 };
    const outgoing = [sent("l:0", b.id, 1), sent("l:1", b.id, 1)];
    const listed = begun(policy);
    listed.cut(a, cut({ outgoing, incoming: ["l:2", "l:3", "l:4"] }));
    assert.equal(failure(listed), undefined);
    listed.cut(b, cut({ outgoing: [sent("l:2", a.id, 1), sent("l:3", a.id, 1)] }));
    assert.match(
      failure(listed) ?? "",
      /^EvidenceTooLarge: process bank\/b .* 4 channels with it, more than channelsMax = 3/,
    );
    // Another attempt would meet the same limit.
    assert.equal(phaseOf(listed.state), "Failed");

    const reported = begun(policy);
    for (let n = 0; n < 3; n += 1) reported.closed(b, closed(`l:${n}`, a.id, 4, 5));
    reported.closed(b, closed("l:2", a.id, 4, 5));
    assert.equal(failure(reported), undefined);
    reported.closed(b, closed("l:3", a.id, 4, 5));
    assert.match(failure(reported) ?? "", /^EvidenceTooLarge: .* more than channelsMax = 3 were reported/);
  });

  it("has so many ranges in an attempt", () => {
    const script = begun({ ...defaultSnapshotPolicy, rangesMax: 2 });
    for (let n = 0; n < 2; n += 1) script.closed(b, closed(`l:${n}`, a.id, 4, 5));
    assert.equal(failure(script), undefined);
    script.closed(b, closed("l:2", a.id, 4, 5));
    assert.match(failure(script) ?? "", /^EvidenceTooLarge: .* 3 ranges .* more than rangesMax = 2/);
  });

  it("names so many reasons and peers in a cut", () => {
    const script = begun({ ...defaultSnapshotPolicy, cutEntriesMax: 2 });
    const peer = { authority: "x:1", direction: "outbound", calls: 1, openCalls: 0 };
    const reason = { code: "Doubt", message: "", processId: a.id };
    script.cut(b, cut({ environment: [peer], reasons: [reason] }));
    assert.equal(failure(script), undefined);
    script.cut(a, cut({ environment: [peer, peer], reasons: [reason] }));
    assert.match(failure(script) ?? "", /^EvidenceTooLarge: .* 3 reasons and peers, more than cutEntriesMax = 2/);
  });

  it("counts anew in each attempt", () => {
    const script = begun({ ...defaultSnapshotPolicy, channelsMax: 2, rangesMax: 2, attemptPauseMs: 0 });
    const gather = () => {
      script.cut(a, cut({ outgoing: [sent("l:0", b.id, 5), sent("l:1", b.id, 5)] }));
      for (let n = 0; n < 2; n += 1) script.closed(b, closed(`l:${n}`, a.id, 4, 5));
    };
    gather();
    const reason = { code: "Hung", message: "", processId: a.id };
    script.step({ type: "captureFailed", ref: script.ref, processId: a.id, incarnation: a.incarnation, reason });
    script.written();
    assert.equal(script.state.stage, "cutting");
    gather();
    assert.deepEqual(
      script.state.earlierAttempts.map((earlier) => earlier.reason),
      ["Hung"],
    );
  });
});
