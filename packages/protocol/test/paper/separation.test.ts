import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { s1, s2, TestedProcess } from "./process.ts";

describe("overlapping snapshots never mix (I8)", () => {
  it("record the same frame for each snapshot that it is in flight in", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.start(s1);
    p.captured(s1);
    assert.deepEqual(p.frameFrom("Q"), ["record s1/1 Q>P 1", "deliver Q>P 1"]);
    p.start(s2);
    p.captured(s2, { "Q>P": [1] });
    assert.deepEqual(p.frameFrom("Q"), ["record s1/1 Q>P 2", "record s2/1 Q>P 2", "deliver Q>P 2"]);
    assert.deepEqual(p.markerFrom("Q", s2), ["reportChannel s2/1 Q>P: marker 3, delivered 0, recorded 1-2, markers 0"]);
    assert.deepEqual(p.frameFrom("Q"), ["record s1/1 Q>P 4", "deliver Q>P 4"]);
    assert.deepEqual(p.markerFrom("Q", s1), [
      "reportChannel s1/1 Q>P: marker 5, delivered 0, recorded 1-2 4-4, markers 1",
    ]);
  });

  it("record and hold a frame that is in flight for one and behind the marker of the other", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.start(s1);
    p.captured(s1);
    p.markerFrom("Q", s2);
    assert.deepEqual(p.frameFrom("Q"), ["record s1/1 Q>P 2", "hold Q>P 2"]);
  });

  it("take a capture for one as no capture for the other", () => {
    const p = new TestedProcess();
    p.start(s1);
    p.start(s2);
    p.captured(s1);
    assert.equal(p.state.snapshots.get("s2/1")?.phase, "cutting");
  });

  it("refuse a second capture of the same snapshot", () => {
    const p = new TestedProcess();
    p.start(s1);
    p.captured(s1);
    assert.throws(() => p.captured(s1), { code: "InvariantViolated", invariant: "I8" });
  });

  it("keep attempts apart", () => {
    const second = { ...s1, attempt: 2 };
    const p = new TestedProcess();
    p.link("Q");
    p.start(s1);
    p.captured(s1);
    assert.deepEqual(p.markerFrom("Q", second), ["capture s1/2 by marker"]);
    p.ended(s1);
    assert.equal(p.captured(second).at(-1), "release Q>P all");
    assert.deepEqual(p.frameFrom("Q"), ["deliver Q>P 2"]);
  });
});

describe("markers that close nothing", () => {
  it("of an ended attempt start nothing, hold nothing, and are counted", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.start(s1);
    p.ended(s1);
    assert.deepEqual(p.markerFrom("Q", s1), []);
    assert.deepEqual(p.frameFrom("Q"), ["deliver Q>P 2"]);
    p.receive("Q", 2);
    p.markerFrom("Q", s2);
    assert(p.captured(s2).includes("reportChannel s2/1 Q>P: marker 3, delivered 1, recorded none, markers 1"));
  });

  it("of an attempt that ended before this process heard of it are late as well", () => {
    const p = new TestedProcess();
    p.link("Q");
    assert.deepEqual(p.ended(s1), []);
    assert.deepEqual(p.markerFrom("Q", s1), []);
    assert.deepEqual(p.start(s1), []);
  });

  it("of an unknown snapshot are first markers: they start it", () => {
    const p = new TestedProcess();
    p.link("Q");
    assert.deepEqual(p.markerFrom("Q", { snapshotId: "never heard of", attempt: 3 }), [
      "capture never heard of/3 by marker",
    ]);
  });

  it("doubled, change nothing: neither before the cut nor after it", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.link("R");
    p.markerFrom("Q", s1);
    assert.deepEqual(p.markerFrom("Q", s1), []);
    const effects = p.captured(s1);
    assert(effects.includes("reportChannel s1/1 Q>P: marker 1, delivered 0, recorded none, markers 0"));
    assert.deepEqual(
      effects.filter((effect) => effect.startsWith("release")),
      ["release Q>P all"],
    );
    assert.deepEqual(p.markerFrom("Q", s1), []);
    p.markerFrom("R", s1);
    assert.deepEqual(p.markerFrom("R", s1), []);
  });
});

describe("an attempt that ends", () => {
  it("stops recording and lets held frames go, last of all", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.link("R");
    p.markerFrom("Q", s1);
    p.frameFrom("Q");
    assert.deepEqual(p.ended(s1), ["forget s1/1", "release Q>P all"]);
    assert.deepEqual(p.captured(s1), [], "the capture that was under way comes too late");
    p.start(s2);
    p.captured(s2, { "Q>P": [2] });
    p.ended(s2);
    assert.deepEqual(p.frameFrom("R"), ["deliver R>P 1"]);
  });

  it("by a failed capture says so first", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.markerFrom("Q", s1);
    assert.deepEqual(p.captureFailed(s1), ["reportFailed s1/1 StateSourceFailed", "forget s1/1", "release Q>P all"]);
    assert.deepEqual(p.captureFailed(s1), []);
  });
});

describe("limits", () => {
  it("refuse one snapshot more than may run, and never hold traffic for it", () => {
    const p = new TestedProcess({ runningSnapshotsMax: 1, endedRememberedMax: 8 });
    p.link("Q");
    p.start(s1);
    assert.deepEqual(p.markerFrom("Q", s2), ["reportFailed s2/1 TooManySnapshots"]);
    assert.deepEqual(p.frameFrom("Q"), ["deliver Q>P 2"]);
    p.ended(s1);
    assert.deepEqual(p.start(s2), [], "a refused attempt stays refused");
    assert.deepEqual(p.start({ ...s2, attempt: 2 }), ["capture s2/2 by start"]);
  });

  it("remember only so many ended attempts, the newest", () => {
    const p = new TestedProcess({ runningSnapshotsMax: 1, endedRememberedMax: 2 });
    for (const attempt of [1, 2, 3]) p.ended({ ...s1, attempt });
    assert.deepEqual([...p.state.ended], ["s1/2", "s1/3"]);
  });
});
