import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { s1, s2, TestedProcess } from "./process.ts";

describe("a channel opened after the cut", () => {
  it("begins with the markers of all snapshots that have cut here", () => {
    const p = new TestedProcess();
    p.start(s1);
    p.captured(s1);
    p.start(s2);
    p.captured(s2);
    assert.deepEqual(p.link("Q"), ["sendMarker s1/1 P>Q 1", "sendMarker s2/1 P>Q 2"]);
    assert.deepEqual(p.send("Q"), ["numbered P>Q 3"]);
  });

  it("has the marker of a snapshot that is still cutting at the cut, not before", () => {
    const p = new TestedProcess();
    p.start(s1);
    assert.deepEqual(p.link("Q"), []);
    assert.deepEqual(p.send("Q"), ["numbered P>Q 1"]);
    assert.deepEqual(p.captured(s1), [
      "sendMarker s1/1 P>Q 2",
      "reportCut s1/1 by start: P>Q sent 1 markers 0; incoming Q>P",
    ]);
  });

  it("is recorded until its marker: its sender may not have cut", () => {
    const p = new TestedProcess();
    p.start(s1);
    p.captured(s1);
    p.link("Q");
    assert.equal(p.state.snapshots.get("s1/1")?.phase, "recording");
    assert.deepEqual(p.frameFrom("Q"), ["record s1/1 Q>P 1", "deliver Q>P 1"]);
    p.receive("Q", 1);
    assert.deepEqual(p.markerFrom("Q", s1), ["reportChannel s1/1 Q>P: marker 2, delivered 0, recorded 1-1, markers 0"]);
    assert.equal(p.state.snapshots.get("s1/1")?.phase, "done");
  });

  it("carries no marker of a snapshot that has ended", () => {
    const p = new TestedProcess();
    p.start(s1);
    p.captured(s1);
    p.ended(s1);
    assert.deepEqual(p.link("Q"), []);
  });
});

describe("a process that attaches while a snapshot runs", () => {
  it("is told and cuts at once", () => {
    const p = new TestedProcess();
    assert.deepEqual(p.start(s1, "attach"), ["capture s1/1 by attach"]);
    assert.deepEqual(p.captured(s1), ["reportCut s1/1 by attach: ; incoming "]);
    assert.deepEqual(p.link("Q"), ["sendMarker s1/1 P>Q 1"]);
  });

  it("cuts by the marker when a peer's channel is faster than the coordinator", () => {
    const p = new TestedProcess();
    p.link("Q");
    assert.deepEqual(p.markerFrom("Q", s1), ["capture s1/1 by marker"]);
    assert.deepEqual(p.start(s1, "attach"), []);
  });
});

describe("a link that is lost", () => {
  it("fails the snapshots that still record its channel, and only those", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.start(s1);
    p.captured(s1);
    p.markerFrom("Q", s1);
    p.start(s2);
    p.captured(s2);
    assert.deepEqual(p.loseLink("Q"), ["reportFailed s2/1 ChannelLost", "forget s2/1"]);
    assert.equal(p.state.snapshots.get("s1/1")?.phase, "done");
    assert.equal(p.state.snapshots.has("s2/1"), false);
  });

  it("fails a snapshot whose marker came by it and whose cut is not made, and lets other channels go", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.link("R");
    p.markerFrom("Q", s1);
    p.markerFrom("R", s1);
    assert.deepEqual(p.frameFrom("R"), ["hold R>P 2"]);
    assert.deepEqual(p.loseLink("Q"), ["reportFailed s1/1 ChannelLost", "forget s1/1", "release R>P all"]);
    assert.deepEqual(p.receive("R", 2), []);
  });

  it("is of no concern to a snapshot that has not cut and has had no marker by it", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.start(s1);
    assert.deepEqual(p.loseLink("Q"), []);
    assert.deepEqual(p.captured(s1), ["reportCut s1/1 by start: ; incoming "]);
  });

  it("is unknown afterwards", () => {
    const p = new TestedProcess();
    p.link("Q");
    p.loseLink("Q");
    assert.deepEqual(p.loseLink("Q"), []);
    assert.throws(() => p.send("Q"), /P has no outgoing channel P>Q/);
    assert.throws(() => p.frameFrom("Q"), /P has no incoming channel Q>P/);
  });
});
