import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  createSnapshotState,
  defaultSnapshotPolicy,
  documentOf,
  phaseOf,
  restoreSnapshotState,
  runningFor,
} from "../../src/index.ts";
import { a, b, closed, cut, part, process, Script, sent, spec, types } from "./support.ts";

describe("a snapshot that goes well", () => {
  it("starts everybody, gathers, proves, reads back, publishes and only then says Completed", () => {
    const script = new Script();
    assert.deepEqual(types(script.begin(a, b)), ["sendStart", "sendStart"]);
    assert.equal(phaseOf(script.state), "Cutting");
    assert.deepEqual(types(script.gather()), ["verifyParts"]);
    assert.equal(phaseOf(script.state), "Verifying");
    const [publish] = script.step({ type: "partsVerified", ref: script.ref });
    assert.ok(publish?.type === "publish");
    assert.equal(publish.document.phase, "Completed");
    assert.equal(publish.document.exact, true);
    assert.deepEqual(publish.document.progress, {
      processesTotal: 2,
      processesCut: 2,
      channelsTotal: 1,
      channelsClosed: 1,
      storedBytes: 9,
      inFlightMessages: 1,
    });
    assert.equal(publish.document.channels[0]?.verdict, "consistent");
    assert.deepEqual(types(script.step({ type: "publication", outcome: "published" })), ["sendEnd", "ended"]);
    assert.equal(phaseOf(script.state), "Completed");
  });

  it("counts a report that is repeated once", () => {
    const script = new Script();
    script.begin(a, b);
    script.cut(a, cut({ outgoing: [sent("l:0", b.id, 5)] }));
    script.cut(a, cut({ outgoing: [sent("l:0", b.id, 5)] }));
    assert.equal(documentOf(script.state).progress.processesCut, 1);
    assert.equal(script.state.attempt, 1);
  });

  it("waits for the receiver of every channel that carried frames, for outboxes and for calls", () => {
    const script = new Script();
    script.begin(a, b);
    script.cut(a, cut({ outgoing: [sent("l:0", b.id, 5, 2)], callsInProcess: 1 }));
    script.cut(b, cut());
    script.stored(part("local", a.id, a.id));
    script.stored(part("local", b.id, b.id));
    assert.equal(phaseOf(script.state), "Collecting");
    script.closed(b, closed("l:0", a.id, 5, 5));
    script.stored(part("outbox", "l:0", a.id));
    assert.equal(phaseOf(script.state), "Collecting");
    assert.deepEqual(types(script.stored(part("calls", a.id, a.id))), ["verifyParts"]);
  });

  it("says partial and not exact with the reasons of each process", () => {
    const script = new Script();
    script.begin(a);
    script.cut(
      a,
      cut({
        exact: false,
        reasons: [{ code: "DrainTimeout", message: "2 calls did not finish", processId: "" }],
        environment: [{ authority: "pay:1", direction: "outbound", calls: 3, openCalls: 0 }],
      }),
    );
    script.stored(part("local", a.id, a.id));
    const [publish] = script.step({ type: "partsVerified", ref: script.ref });
    assert.ok(publish?.type === "publish");
    assert.equal(publish.document.exact, false);
    assert.equal(publish.document.partial, true);
    assert.deepEqual(
      publish.document.reasons.map(({ code, processId }) => [code, processId]),
      [
        ["DrainTimeout", a.id],
        ["EnvironmentPeer", a.id],
      ],
    );
  });

  it("stores nothing of a process outside of the scope, and proves its channels all the same", () => {
    const state = createSnapshotState(
      spec({ scope: { namespaces: ["bank"], labelSelector: {} } }),
      defaultSnapshotPolicy,
    );
    const script = new Script(state);
    const outside = process("audit/c");
    const starts = script.begin(a, outside).filter((effect) => effect.type === "sendStart");
    assert.deepEqual(
      starts.map(({ processId, store }) => [processId, store]),
      [
        [a.id, true],
        [outside.id, false],
      ],
    );
    script.cut(a, cut({ outgoing: [sent("l:0", outside.id, 5)] }));
    script.cut(outside, cut({ incoming: ["l:0"], callsInProcess: 2 }));
    script.stored(part("local", a.id, a.id));
    assert.equal(phaseOf(script.state), "Collecting");
    assert.deepEqual(types(script.closed(outside, closed("l:0", a.id, 2, 5))), ["verifyParts"]);
    assert.equal(documentOf(script.state).processes[1]?.stored, false);
  });

  it("asks the initiator first and those its markers do not reach later", () => {
    const script = new Script(createSnapshotState(spec({ initiator: a.id }), defaultSnapshotPolicy));
    const asked = (effects: ReturnType<Script["step"]>) =>
      effects.flatMap((effect) => (effect.type === "sendStart" ? [effect.processId] : []));
    assert.deepEqual(asked(script.begin(a, b, process("bank/c"))), [a.id]);
    script.cut(b, cut());
    assert.deepEqual(asked(script.step({ type: "tick" }, 1_000)), ["bank/c"]);
  });
});

describe("membership", () => {
  it("takes in who attaches while not all have cut, and nobody later", () => {
    const script = new Script();
    script.begin(a);
    script.step({ type: "attached", process: b });
    assert.ok(runningFor(script.state, b.id, b.incarnation));
    script.cut(a, cut());
    script.cut(b, cut());
    const late = process("bank/late");
    script.step({ type: "attached", process: late });
    assert.equal(runningFor(script.state, late.id, late.incarnation), undefined);
    assert.equal(documentOf(script.state).processes.length, 2);
  });

  it("tries again without a process that is away for longer than the grace period", () => {
    const script = new Script();
    script.begin(a, b);
    script.cut(a, cut());
    script.step({ type: "detached", processId: b.id, incarnation: b.incarnation });
    assert.equal(script.state.attempt, 1);
    const effects = script.step({ type: "tick" }, defaultSnapshotPolicy.graceMs);
    assert.deepEqual(types(effects), ["sendEnd", "removeParts"]);
    assert.deepEqual(types(script.pause()), ["persist"]);
    const [earlier] = documentOf(script.state).earlierAttempts;
    assert.equal(earlier?.reason, "ProcessLost");
    assert.match(earlier?.message ?? "", /bank\/b/);
    assert.deepEqual(types(script.written()), ["sendStart"]);
    assert.equal(script.state.attempt, 2);
  });

  it("goes on when a process comes back in time", () => {
    const script = new Script();
    script.begin(a, b);
    script.step({ type: "detached", processId: b.id, incarnation: b.incarnation });
    script.step({ type: "attached", process: b }, 4_000);
    script.step({ type: "tick" }, 4_000);
    assert.equal(script.state.attempt, 1);
  });

  it("loses a process that comes back as another incarnation", () => {
    const script = new Script();
    script.begin(a, b);
    script.step({ type: "attached", process: process(b.id, "2") });
    assert.equal(documentOf(script.state).earlierAttempts[0]?.reason, "ProcessLost");
  });

  it("keeps a process that leaves after all of it is in, and loses one that leaves before", () => {
    const script = new Script();
    script.begin(a, b);
    script.cut(b, cut());
    script.stored(part("local", b.id, b.id));
    script.step({ type: "left", processId: b.id, incarnation: b.incarnation });
    assert.equal(script.state.attempt, 1);
    script.cut(a, cut());
    script.step({ type: "left", processId: a.id, incarnation: a.incarnation });
    assert.equal(script.state.attempt, 2);
  });

  it("begins no attempt while a known process is in its grace period", () => {
    const script = new Script();
    const effects = script.step({ type: "begin", processes: [a, { ...b, detachedAtMs: script.nowMs }] });
    assert.deepEqual(types(effects), []);
    assert.equal(types(script.step({ type: "attached", process: b })).length, 2);
  });
});

describe("a snapshot that goes wrong", () => {
  it("never completes with an invalid certificate", () => {
    const script = new Script(createSnapshotState(spec({ attemptsMax: 1 }), defaultSnapshotPolicy));
    script.begin(a, b);
    script.cut(a, cut({ outgoing: [sent("l:0", b.id, 4)] }));
    script.cut(b, cut({ incoming: ["l:0"] }));
    script.stored(part("local", a.id, a.id));
    script.stored(part("local", b.id, b.id));
    script.closed(b, closed("l:0", a.id, 5, 5));
    const document = documentOf(script.state);
    assert.equal(document.phase, "Failed");
    assert.equal(document.reason, "CertificateInvalid");
    assert.equal(document.certificate?.verdict, "invalid");
    assert.match(document.message, /ReceivedBeforeSent/);
  });

  it("refuses ends that name different processes", () => {
    const script = new Script(createSnapshotState(spec({ attemptsMax: 1 }), defaultSnapshotPolicy));
    script.begin(a, b);
    script.cut(a, cut({ outgoing: [sent("l:0", b.id, 5)] }));
    script.cut(b, cut());
    script.closed(b, closed("l:0", "bank/z", 5, 5));
    script.stored(part("local", a.id, a.id));
    script.stored(part("local", b.id, b.id));
    assert.equal(documentOf(script.state).reason, "CertificateInvalid");
  });

  it("fails an attempt whose evidence changes", () => {
    const script = new Script();
    script.begin(a, b);
    script.cut(b, cut({ incoming: ["l:0"] }));
    script.closed(b, closed("l:0", a.id, 4, 5));
    script.closed(b, closed("l:0", a.id, 3, 5));
    assert.equal(documentOf(script.state).earlierAttempts[0]?.reason, "EvidenceChanged");
  });

  it("names what is missing at the deadline", () => {
    const script = new Script(createSnapshotState(spec({ attemptsMax: 1 }), defaultSnapshotPolicy));
    script.begin(a, b);
    script.cut(a, cut({ outgoing: [sent("l:0", b.id, 5)] }));
    script.step({ type: "tick" }, 60_000);
    const { phase, reason, message } = documentOf(script.state);
    assert.deepEqual([phase, reason], ["Failed", "DeadlineExceeded"]);
    assert.match(message, /not cut: bank\/b; channels not closed: l:0; parts not stored: local bank\/a/);
  });

  it("gives a standing attempt its share of the time and begins the next", () => {
    const script = new Script();
    script.begin(a, b);
    script.step({ type: "tick" }, 20_001);
    assert.equal(documentOf(script.state).earlierAttempts[0]?.reason, "AttemptTimeout");
  });

  it("does not try again when a state is too large", () => {
    const script = new Script();
    script.begin(a);
    script.step({
      type: "partFailed",
      ref: script.ref,
      processId: a.id,
      kind: "local",
      code: "StateTooLarge",
      message: "too large",
    });
    assert.equal(documentOf(script.state).reason, "StateTooLarge");
  });

  it("ignores an earlier attempt's reports", () => {
    const script = new Script();
    script.begin(a);
    const old = script.ref;
    const reason = { code: "Hung", message: "hung", processId: a.id };
    script.step({ type: "captureFailed", ref: old, processId: a.id, incarnation: "1", reason });
    script.pause();
    script.written();
    assert.equal(phaseOf(script.state), "Cutting");
    script.step({ type: "cut", ref: old, processId: a.id, incarnation: "1", report: cut() });
    assert.equal(documentOf(script.state).progress.processesCut, 0);
  });

  for (const [code, reason] of [
    ["CaptureTimedOut", "CaptureTimedOut"],
    ["", "CaptureFailed"],
    ["Unknown", "CaptureFailed"],
    ["not a code\u001b[2J", "CaptureFailed"],
    [`C${"x".repeat(64)}`, "CaptureFailed"],
  ] as const) {
    it(`gives ${reason} as the reason when a process could not be captured because of ${JSON.stringify(code)}`, () => {
      const script = new Script(createSnapshotState(spec({ attemptsMax: 1 }), defaultSnapshotPolicy));
      script.begin(a);
      const told = { code, message: "it hung", processId: a.id };
      script.step({ type: "captureFailed", ref: script.ref, processId: a.id, incarnation: "1", reason: told });
      assert.equal(documentOf(script.state).reason, reason);
      assert.match(documentOf(script.state).message, new RegExp(`${a.id} .*it hung`, "s"));
    });
  }

  it("is Aborted on request, and never once a publication is under way", () => {
    const script = new Script();
    script.begin(a);
    assert.deepEqual(types(script.step({ type: "abort", message: "asked" })), ["sendEnd", "removeParts", "persist"]);
    assert.deepEqual(types(script.written()), ["ended"]);
    const other = publishing();
    other.step({ type: "abort", message: "asked" });
    assert.equal(phaseOf(other.state), "Verifying");
  });
});

describe("a publication whose outcome is unknown", () => {
  it("is Completed when it is read back", () => {
    const script = publishing();
    assert.deepEqual(types(script.step({ type: "publication", outcome: "unknown" })), ["readBack"]);
    script.step({ type: "publicationReadBack", outcome: "completed" });
    assert.equal(phaseOf(script.state), "Completed");
  });

  it("is tried again when it is not there, and after the deadline gives way to Failed once the store has taken that", () => {
    const script = publishing();
    script.step({ type: "publication", outcome: "unknown" });
    assert.deepEqual(types(script.step({ type: "publicationReadBack", outcome: "notCompleted" })), ["publish"]);
    script.step({ type: "publication", outcome: "unknown" }, 60_000);
    assert.deepEqual(types(script.step({ type: "publicationReadBack", outcome: "notCompleted" })), ["persist"]);
    assert.notEqual(phaseOf(script.state), "Failed");
    assert.deepEqual(types(script.written()), ["sendEnd", "ended"]);
    assert.equal(phaseOf(script.state), "Failed");
  });

  it("is Completed after all when the store says so to the withdrawal", () => {
    const script = publishing();
    script.step({ type: "publication", outcome: "unknown" }, 60_000);
    script.step({ type: "publicationReadBack", outcome: "notCompleted" });
    script.step({ type: "persisted", write: script.state.write, outcome: "published" });
    assert.equal(phaseOf(script.state), "Completed");
  });

  it("is left to the store's document when the store stays silent", () => {
    const script = publishing();
    script.step({ type: "publication", outcome: "unknown" });
    const effects = script.step({ type: "tick" }, 60_000 + defaultSnapshotPolicy.settleMsMax);
    assert.deepEqual(effects, [{ type: "ended", outcome: "unresolved" }]);
  });

  it("stops without a word to the agents when another leader has the snapshot", () => {
    const script = publishing();
    assert.deepEqual(types(script.step({ type: "publication", outcome: "fenced" })), ["ended"]);
  });
});

describe("take-over", () => {
  const inherited = { attempt: 1, startedAtMs: 1_001, earlierAttempts: [], processes: [a, b] };

  it("waits for the processes it knew of and begins the next attempt", () => {
    const script = new Script(restoreSnapshotState(spec(), defaultSnapshotPolicy, inherited, 5_000));
    assert.deepEqual(types(script.begin()), ["sendEnd"]);
    script.step({ type: "attached", process: a });
    assert.deepEqual(types(script.pause()), []);
    assert.deepEqual(types(script.step({ type: "attached", process: b })), ["persist"]);
    assert.deepEqual(types(script.written()), ["removeParts", "sendStart", "sendStart"]);
    assert.equal(documentOf(script.state).earlierAttempts[0]?.reason, "CoordinatorRestarted");
  });

  it("fails a snapshot that has no attempt left, and removes its parts once the store has taken that (I5)", () => {
    const script = new Script(restoreSnapshotState(spec({ attemptsMax: 1 }), defaultSnapshotPolicy, inherited, 5_000));
    assert.deepEqual(types(script.begin()), ["sendEnd", "persist"]);
    assert.equal(documentOf(script.state).reason, "CoordinatorRestarted");
    assert.deepEqual(types(script.step({ type: "persisted", write: script.state.write, outcome: "unknown" })), []);
    assert.deepEqual(types(script.step({ type: "tick" }, defaultSnapshotPolicy.rewriteMs)), ["persist"]);
    const effects = script.written();
    assert.deepEqual(types(effects), ["removeParts", "ended"]);
    assert.ok(effects.some((effect) => effect.type === "removeParts" && effect.attemptThrough === 1));
  });

  for (const outcome of ["published", "fenced"] as const) {
    it(`removes no parts when the store answers ${outcome}: they are another leader's picture`, () => {
      const state = restoreSnapshotState(spec({ attemptsMax: 1 }), defaultSnapshotPolicy, inherited, 5_000);
      const script = new Script(state);
      script.begin();
      script.step({ type: "persisted", write: state.write, outcome });
      assert.deepEqual(script.effects.at(-1), { type: "ended", outcome: "superseded" });
      assert.ok(!types(script.effects).includes("removeParts"));
    });
  }
});

function publishing(): Script {
  const script = new Script();
  script.begin(a, b);
  script.gather();
  script.step({ type: "partsVerified", ref: script.ref });
  return script;
}
