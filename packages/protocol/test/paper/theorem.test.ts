import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { s1, s2, TestedProcess } from "./process.ts";

describe("theorem: the recorded state is consistent", () => {
  it("counts every frame in front of the marker once: received, recorded, or a marker", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.frameFrom("Q");
    p.markerFrom("Q", s2);
    p.ended(s2);
    p.frameFrom("Q");
    p.frameFrom("Q");
    p.receive("Q", 3);
    p.start(s1);
    p.captured(s1, { "Q>P": [1, 4] });
    p.frameFrom("Q");
    p.receive("Q", 5);
    assert.deepEqual(p.markerFrom("Q", s1), [
      "reportChannel s1/1 Q>P: marker 6, delivered 1, recorded 1-1 4-5, markers 1",
    ]);
  });

  it("does not take a frame received after the cut for one received before it", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.frameFrom("Q");
    p.start(s1);
    p.captured(s1, { "Q>P": [1] });
    p.receive("Q", 1);
    assert.deepEqual(p.markerFrom("Q", s1), ["reportChannel s1/1 Q>P: marker 2, delivered 0, recorded 1-1, markers 0"]);
  });

  it("is not claimed over a gap or a repetition on a channel (I2)", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.frameFrom("Q");
    for (const number of [1, 3]) {
      assert.throws(() => p.step({ type: "frameArrived", channel: "Q>P", number }), { invariant: "I2" });
      assert.throws(() => p.step({ type: "markerArrived", channel: "Q>P", number, ref: s1 }), { invariant: "I2" });
    }
  });

  it("is not claimed over a delivery of what has not arrived (I1)", () => {
    const p = new TestedProcess();
    p.link("Q");
    assert.throws(() => p.receive("Q", 1), { invariant: "I1" });
  });
});

describe("a capture that contradicts what is known (I2)", () => {
  const contradictions: readonly (readonly [what: string, undelivered: readonly number[]])[] = [
    ["leaves out a frame that has arrived", [1]],
    ["lists a frame twice", [1, 1, 2]],
    ["lists a frame that has been received", [1, 2, 3]],
  ];
  for (const [what, undelivered] of contradictions) {
    it(`and ${what} leaves no marker numbered, and can be given up`, () => {
      const p = new TestedProcess();
      p.link("R");
      p.link("Q");
      for (let number = 1; number <= 3; number += 1) p.frameFrom("Q");
      p.receive("Q", 3);
      p.start(s1);
      assert.throws(() => p.captured(s1, { "Q>P": undelivered }), { code: "InvariantViolated", invariant: "I2" });
      assert.deepEqual(p.send("R"), ["numbered P>R 1"], "no marker has taken the number");
      assert.deepEqual(p.captureFailed(s1), ["reportFailed s1/1 StateSourceFailed", "forget s1/1"]);
      assert.deepEqual(p.frameFrom("R"), ["deliver R>P 1"], "nothing is recorded any more");
      assert.deepEqual(p.frameFrom("Q"), ["deliver Q>P 4"]);
    });
  }
});

describe("the order of effects at the cut", () => {
  it("is: markers, records of what is here, the cut, the channels closed before it, releases", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.link("R");
    p.frameFrom("Q");
    p.frameFrom("R");
    p.markerFrom("Q", s1);
    p.frameFrom("Q");
    assert.deepEqual(p.captured(s1, { "Q>P": [1, 3], "R>P": [1] }), [
      "sendMarker s1/1 P>Q 1",
      "sendMarker s1/1 P>R 1",
      "record s1/1 Q>P 1",
      "record s1/1 R>P 1",
      "reportCut s1/1 by marker: P>Q sent 0 markers 0, P>R sent 0 markers 0; incoming Q>P R>P",
      "reportChannel s1/1 Q>P: marker 2, delivered 0, recorded 1-1, markers 0",
      "release Q>P all",
    ]);
  });
});
