import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { s1, s2, TestedProcess } from "./process.ts";

describe("marker sending rule", () => {
  it("numbers one marker on every outgoing channel, in front of any later frame", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.link("R");
    assert.deepEqual(p.send("Q"), ["numbered P>Q 1"]);
    assert.deepEqual(p.start(s1), ["capture s1/1 by start"]);
    assert.deepEqual(p.send("Q"), ["numbered P>Q 2"], "traffic flows while the capture is under way");
    const effects = p.captured(s1);
    assert.deepEqual(effects.slice(0, 2), ["sendMarker s1/1 P>Q 3", "sendMarker s1/1 P>R 1"]);
    assert.deepEqual(p.send("Q"), ["numbered P>Q 4"]);
    assert.deepEqual(p.send("R"), ["numbered P>R 2"]);
  });

  it("reports what was numbered before the marker, and markers of other snapshots apart", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.send("Q");
    p.start(s1);
    p.captured(s1);
    p.send("Q");
    p.start(s2);
    assert(p.captured(s2).includes("reportCut s2/1 by start: P>Q sent 3 markers 1; incoming Q>P"));
  });

  it("is followed by an initiator with no channels at all", () => {
    const p = new TestedProcess();
    p.start(s1);
    assert.deepEqual(p.captured(s1), ["reportCut s1/1 by start: ; incoming "]);
    assert.equal(p.state.snapshots.get("s1/1")?.phase, "done");
  });

  it("asks for one capture however often a snapshot is started", () => {
    const p = new TestedProcess();
    p.link("Q");
    assert.deepEqual(p.start(s1), ["capture s1/1 by start"]);
    assert.deepEqual(p.start(s1), []);
    assert.deepEqual(p.markerFrom("Q", s1), []);
    p.captured(s1);
    assert.deepEqual(p.start(s1, "attach"), []);
  });
});

describe("marker receiving rule, first marker of a snapshot", () => {
  it("asks for a capture and closes the channel the marker came by, empty when all before it is received", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.frameFrom("Q");
    p.receive("Q", 1);
    assert.deepEqual(p.markerFrom("Q", s1), ["capture s1/1 by marker"]);
    assert.deepEqual(p.captured(s1), [
      "sendMarker s1/1 P>Q 1",
      "reportCut s1/1 by marker: P>Q sent 0 markers 0; incoming Q>P",
      "reportChannel s1/1 Q>P: marker 2, delivered 1, recorded none, markers 0",
      "release Q>P all",
    ]);
    assert.equal(p.state.snapshots.get("s1/1")?.phase, "done");
  });

  it("records what arrived in front of the marker and has not been received", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.frameFrom("Q");
    p.frameFrom("Q");
    p.receive("Q", 2);
    p.markerFrom("Q", s1);
    p.frameFrom("Q");
    const effects = p.captured(s1, { "Q>P": [1, 4] });
    assert(effects.includes("record s1/1 Q>P 1"));
    assert(!effects.includes("record s1/1 Q>P 4"), "frame 4 stands behind the marker");
    assert(effects.includes("reportChannel s1/1 Q>P: marker 3, delivered 1, recorded 1-1, markers 0"));
  });

  it("records every other incoming channel from the cut on, before the frame goes to the application", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.link("R");
    p.markerFrom("Q", s1);
    assert.deepEqual(p.frameFrom("R"), ["deliver R>P 1"], "before the cut nothing is recorded");
    p.receive("R", 1);
    p.captured(s1);
    assert.deepEqual(p.frameFrom("R"), ["record s1/1 R>P 2", "deliver R>P 2"]);
    assert.deepEqual(p.frameFrom("Q"), ["deliver Q>P 2"], "the closed channel is not recorded");
  });
});

describe("marker receiving rule, later markers", () => {
  it("close the channel they came by; its state is what was recorded on it", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.link("R");
    p.start(s1);
    p.captured(s1);
    p.frameFrom("Q");
    p.frameFrom("Q");
    assert.deepEqual(p.markerFrom("Q", s1), ["reportChannel s1/1 Q>P: marker 3, delivered 0, recorded 1-2, markers 0"]);
    assert.equal(p.state.snapshots.get("s1/1")?.phase, "recording", "R's channel is open");
    assert.deepEqual(p.frameFrom("Q"), ["deliver Q>P 4"], "what comes behind the marker is not recorded");
    p.markerFrom("R", s1);
    assert.equal(p.state.snapshots.get("s1/1")?.phase, "done");
  });

  it("that come while the capture is under way start no second one and close their channel at the cut", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.link("R");
    p.markerFrom("Q", s1);
    p.frameFrom("R");
    assert.deepEqual(p.markerFrom("R", s1), []);
    assert.deepEqual(p.captured(s1, { "R>P": [1] }).slice(2), [
      "record s1/1 R>P 1",
      "reportCut s1/1 by marker: P>Q sent 0 markers 0, P>R sent 0 markers 0; incoming Q>P R>P",
      "reportChannel s1/1 Q>P: marker 1, delivered 0, recorded none, markers 0",
      "reportChannel s1/1 R>P: marker 2, delivered 0, recorded 1-1, markers 0",
      "release Q>P all",
      "release R>P all",
    ]);
  });
});

describe("barrier: nothing behind a marker is delivered before the cut", () => {
  it("holds frames behind the marker until the cut; other channels flow", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.link("R");
    p.frameFrom("Q");
    p.markerFrom("Q", s1);
    assert.deepEqual(p.frameFrom("Q"), ["hold Q>P 3"]);
    assert.deepEqual(p.receive("Q", 1), [], "what stands in front of the marker may be received");
    assert.deepEqual(p.frameFrom("R"), ["deliver R>P 1"]);
    p.receive("R", 1);
    assert.equal(p.captured(s1, { "Q>P": [3] }).at(-1), "release Q>P all");
    assert.deepEqual(p.receive("Q", 3), []);
  });

  it("refuses a delivery from behind the marker (I1)", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.markerFrom("Q", s1);
    p.frameFrom("Q");
    assert.throws(() => p.receive("Q", 2), { code: "InvariantViolated", invariant: "I1" });
  });

  it("keeps what stands behind another snapshot's marker", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.markerFrom("Q", s1);
    p.frameFrom("Q");
    p.markerFrom("Q", s2);
    p.frameFrom("Q");
    assert.equal(p.captured(s1, { "Q>P": [2, 4] }).at(-1), "release Q>P before 3");
    p.receive("Q", 2);
    assert.throws(() => p.receive("Q", 4), { invariant: "I1" });
    assert.equal(p.captured(s2, { "Q>P": [4] }).at(-1), "release Q>P all");
  });

  it("lets nothing go when the marker behind is cut for first", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.markerFrom("Q", s1);
    p.frameFrom("Q");
    p.markerFrom("Q", s2);
    const effects = p.captured(s2, { "Q>P": [2] });
    assert.deepEqual(
      effects.filter((effect) => effect.startsWith("release")),
      [],
    );
    assert(effects.includes("reportChannel s2/1 Q>P: marker 3, delivered 0, recorded 2-2, markers 1"));
    assert.equal(p.captured(s1, { "Q>P": [2] }).at(-1), "release Q>P all");
  });
});
