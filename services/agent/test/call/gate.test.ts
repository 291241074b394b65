import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Gate } from "../../src/dataplane/call/gate.ts";
import type { OutboundItem } from "../../src/dataplane/call/outbound-queue.ts";
import { everything, type FrameRole } from "../../src/dataplane/call/position.ts";
import { FrameType } from "../../src/dataplane/link/codec.ts";

function item(type: number, role: FrameRole): OutboundItem {
  return { type, flags: 0, payload: new Uint8Array(0), role, offsetBytes: 0, messageBytes: 0 };
}

const open = item(FrameType.open, { part: "headers" });
const first = item(FrameType.message, { part: "message", index: 0 });
const second = item(FrameType.message, { part: "message", index: 1 });
const trailers = item(FrameType.trailers, { part: "end" });
const reset = item(FrameType.reset, { part: "end" });
const all = [open, first, second, trailers, reset];

describe("gate", () => {
  it("lets all through while it is open", () => {
    const gate = new Gate();
    assert.ok(all.every((each) => gate.mayLeave(each, undefined)));
    assert.ok(all.every(({ type }) => gate.mayEnter(type)));
  });

  it("lets nothing out while it is frozen, not even what would stand before the cut", () => {
    const gate = new Gate();
    gate.fromApplication = "frozen";
    assert.ok(all.every((each) => !gate.mayLeave(each, everything)));
  });

  it("lets out what stands before the cut while it settles", () => {
    const gate = new Gate();
    gate.fromApplication = "settling";
    const leaving = (target: Parameters<Gate["mayLeave"]>[1]) => all.filter((each) => gate.mayLeave(each, target));
    assert.deepEqual(leaving(undefined), []);
    assert.deepEqual(leaving({ headers: true, messages: 1, end: false }), [open, first]);
    assert.deepEqual(leaving({ headers: true, messages: 2, end: true }), [open, first, second, trailers]);
    assert.deepEqual(leaving(everything), all);
  });

  it("keeps new calls, or everything, from the application", () => {
    const gate = new Gate();
    gate.toApplication = "noNewCalls";
    assert.deepEqual(
      all.map(({ type }) => gate.mayEnter(type)),
      [false, true, true, true, true],
    );
    gate.toApplication = "closed";
    assert.ok(all.every(({ type }) => !gate.mayEnter(type)));
  });

  it("counts crossings and tells of each", () => {
    const gate = new Gate();
    gate.noteCrossing();
    let told = 0;
    gate.onCrossing = () => {
      told += 1;
    };
    gate.noteCrossing();
    assert.deepEqual([gate.crossings, told], [2, 1]);
  });
});
