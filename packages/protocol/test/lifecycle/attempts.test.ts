import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createSnapshotState, defaultSnapshotPolicy, documentOf, phaseOf } from "../../src/index.ts";
import { a, b, closed, cut, part, Script, sent, spec, types } from "./support.ts";

describe("an attempt", () => {
  it("waits for a process that took part without having attached, and names it", () => {
    const script = new Script();
    script.begin(a);
    script.cut(a, cut({ outgoing: [sent("l:0", b.id, 5)], incoming: ["l:1"] }));
    script.closed(a, closed("l:1", b.id, 4, 5));
    script.stored(part("local", a.id, a.id));
    script.stored(part("channel", "l:1", a.id));
    const { earlierAttempts, phase } = documentOf(script.state);
    assert.deepEqual([phase, earlierAttempts[0]?.reason], ["Pending", "ProcessMissing"]);
    assert.match(earlierAttempts[0]?.message ?? "", new RegExp(b.id));
    assert.deepEqual(types(script.pause()), []);
    assert.deepEqual(types(script.step({ type: "attached", process: b })), ["persist"]);
  });

  it("starts no attempt before its time", () => {
    const script = new Script();
    script.step({ type: "begin", processes: [a, b], notBeforeMs: script.nowMs + 1_000 });
    assert.deepEqual(types(script.step({ type: "tick" }, 900)), []);
    assert.ok(types(script.step({ type: "tick" }, 200)).includes("sendStart"));
  });

  it("pauses longer before each attempt, but never for more than half of the time left", () => {
    const script = new Script(createSnapshotState(spec({ attemptsMax: 9 }), defaultSnapshotPolicy));
    const pauses: number[] = [];
    script.begin(a);
    for (let attempt = 1; attempt < 9; attempt += 1) {
      const reason = { code: "Hung", message: "hung", processId: a.id };
      script.step({ type: "captureFailed", ref: script.ref, processId: a.id, incarnation: "1", reason });
      const failedAtMs = script.state.nowMs;
      const timeLeftMs = deadlineOf(script) - failedAtMs;
      script.pause();
      const pauseMs = script.state.nowMs - failedAtMs;
      assert.ok(pauseMs <= timeLeftMs / 2 + 1);
      pauses.push(pauseMs);
      script.written();
      assert.equal(script.state.attempt, attempt + 1);
      assert.equal(phaseOf(script.state), "Cutting");
    }
    assert.deepEqual(pauses.slice(0, 4), [250, 500, 1_000, 2_000]);
  });

  for (const [how, end] of [
    ["aborted", (script: Script) => script.step({ type: "abort", message: "asked" })],
    ["over time", (script: Script) => script.step({ type: "tick" }, deadlineOf(script) - script.nowMs)],
  ] as const) {
    for (const [where, go] of [
      ["waits for its pause", () => undefined],
      ["is on its way to the store", (script: Script) => script.pause()],
      ["may be in the store", (script: Script) => unknownRecording(script)],
    ] as const) {
      it(`that ${where} is nobody's when its snapshot is ${how}: agents hear of the attempt before alone (I8, I9)`, () => {
        const script = new Script();
        script.begin(a, b);
        const reason = { code: "Hung", message: "hung", processId: a.id };
        script.step({ type: "captureFailed", ref: script.ref, processId: a.id, incarnation: "1", reason });
        go(script);
        assert.deepEqual([script.state.attempt, script.state.attemptRecorded], [2, 1]);
        const effects = end(script);
        assert.deepEqual(types(effects), ["removeParts", "persist"]);
        assert.ok(effects.some((effect) => effect.type === "removeParts" && effect.attemptThrough === 1));
        assert.deepEqual(
          script.effects.flatMap((effect) => (effect.type === "sendEnd" ? [effect.ref.attempt] : [])),
          [1],
        );
      });
    }
  }

  it("whose snapshot is removed while its number is recorded is nobody's either", () => {
    const script = new Script();
    script.begin(a, b);
    const reason = { code: "Hung", message: "hung", processId: a.id };
    script.step({ type: "captureFailed", ref: script.ref, processId: a.id, incarnation: "1", reason });
    script.pause();
    const effects = script.step({ type: "persisted", write: script.state.write, outcome: "missing" });
    assert.deepEqual(types(effects), ["removeParts", "ended"]);
    assert.ok(effects.some((effect) => effect.type === "removeParts" && effect.attemptThrough === 1));
  });
});

function unknownRecording(script: Script): void {
  script.pause();
  script.step({ type: "persisted", write: script.state.write, outcome: "unknown" });
}

function deadlineOf({ state }: Script): number {
  return state.spec.createdAtMs + state.spec.timeoutMs;
}
