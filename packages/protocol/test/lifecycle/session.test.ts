import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  admitUpload,
  createSession,
  createSnapshotState,
  defaultSnapshotPolicy,
  differingUpload,
  EffectLine,
  endUpload,
  growUpload,
  isUploadOver,
  type SessionAnswer,
  type SessionEffect,
  type SessionState,
  type SnapshotHappening,
  stepSession,
  type UploadState,
} from "../../src/index.ts";
import { a, cut, part, spec } from "./support.ts";

const limits = { partsMax: 2, stateBytesMax: 100, snapshotBytesMax: 150 };

/** A session that is stepped by hand. */
class Drive {
  readonly session: SessionState;
  nowMs = 1_000;

  constructor(scope?: { namespaces: string[]; labelSelector: Record<string, string> }) {
    const policy = { ...defaultSnapshotPolicy, attemptPauseMs: 0 };
    this.session = createSession(createSnapshotState(spec({ scope }), policy), 7, 100, this.nowMs);
  }

  happens(happening: SnapshotHappening): string[] {
    return shown(stepSession(this.session, { type: "happened", happening, nowMs: this.nowMs }));
  }

  answered(answer: SessionAnswer): string[] {
    return shown(stepSession(this.session, { type: "answered", answer, nowMs: this.nowMs }));
  }

  begin(): string[] {
    return this.happens({ type: "begin", processes: [a] });
  }

  fails(): string[] {
    const reason = { code: "Hung", message: "", processId: "" };
    return this.happens({ type: "captureFailed", ref: this.ref, processId: a.id, incarnation: a.incarnation, reason });
  }

  cut(): string[] {
    const report = cut();
    return this.happens({ type: "cut", ref: this.ref, processId: a.id, incarnation: a.incarnation, report });
  }

  get ref() {
    return { snapshotId: "s1", attempt: this.session.snapshot.attempt };
  }

  admit(kind: "local" | "calls" = "local", attempt = this.ref.attempt) {
    const offer = { ref: { ...this.ref, attempt }, processId: a.id, incarnation: a.incarnation, kind, owner: a.id };
    return admitUpload(7, this.session, offer, limits);
  }

  accepted(kind: "local" | "calls" = "local"): UploadState {
    const admission = this.admit(kind);
    assert.ok(admission.outcome === "accepted");
    return admission.upload;
  }
}

function shown(effects: readonly SessionEffect[]): string[] {
  return effects
    .filter(({ type }) => type !== "note")
    .map((effect) => (effect.type === "write" ? effect.write.kind : effect.type));
}

describe("the writes of a session", () => {
  it("reach the store one after another, an attempt's first progress at once", () => {
    const drive = new Drive();
    assert.deepEqual(drive.begin(), ["sendStart", "progress"]);
    assert.deepEqual(drive.fails(), ["attemptOver", "sendEnd", "removeParts"]);
    assert.equal(drive.session.snapshot.stage, "recordingAttempt");
    assert.deepEqual(drive.answered({ kind: "progress", outcome: "written" }), ["persist"]);
    assert.deepEqual(drive.answered({ kind: "persist", outcome: "written" }), ["sendStart", "progress"]);
  });

  it("say no progress that is obsolete when its turn comes", () => {
    const drive = new Drive();
    drive.begin();
    drive.answered({ kind: "progress", outcome: "written" });
    drive.nowMs += 100;
    assert.deepEqual(drive.happens({ type: "tick" }), ["progress"]);
    assert.deepEqual(drive.happens({ type: "abort", message: "" }), ["attemptOver", "sendEnd", "removeParts"]);
    assert.deepEqual(drive.answered({ kind: "progress", outcome: "written" }), ["persist"]);
    assert.deepEqual(drive.answered({ kind: "persist", outcome: "written" }), ["ended"]);
    assert.deepEqual(drive.happens({ type: "tick" }), []);
  });

  it("say progress again only after so long", () => {
    const drive = new Drive();
    drive.begin();
    drive.answered({ kind: "progress", outcome: "unknown" });
    drive.nowMs += 99;
    assert.deepEqual(drive.happens({ type: "tick" }), []);
    drive.nowMs += 1;
    assert.deepEqual(drive.cut(), ["progress"]);
    assert.equal(drive.session.snapshot.stage, "collecting");
  });

  it("end the session where another leader has it, also by the progress (I9)", () => {
    const drive = new Drive();
    drive.begin();
    assert.deepEqual(drive.answered({ kind: "progress", outcome: "fenced" }), ["attemptOver", "ended"]);
  });

  it("heed no answer to what was not asked for", () => {
    const drive = new Drive();
    drive.begin();
    assert.deepEqual(drive.answered({ kind: "persist", outcome: "fenced" }), []);
    assert.deepEqual(drive.answered({ kind: "publish", outcome: "published" }), []);
    assert.equal(drive.session.stopped, false);
  });

  it("that were asked for go on after a stop, and nothing follows", () => {
    const drive = new Drive();
    drive.begin();
    drive.happens({ type: "abort", message: "" });
    assert.deepEqual(shown(stepSession(drive.session, { type: "stop", nowMs: drive.nowMs })), []);
    assert.deepEqual(drive.answered({ kind: "progress", outcome: "written" }), ["persist"]);
    assert.deepEqual(drive.answered({ kind: "persist", outcome: "unknown" }), []);
    drive.nowMs += 100_000;
    assert.deepEqual(drive.happens({ type: "tick" }), []);
  });

  it("publish, and read back what had no answer", () => {
    const drive = new Drive();
    drive.begin();
    drive.cut();
    drive.answered({ kind: "progress", outcome: "written" });
    const stored = part("local", a.id, a.id);
    const effects = stepSession(drive.session, { type: "committed", ref: drive.ref, part: stored, nowMs: drive.nowMs });
    assert.deepEqual(shown(effects), ["verifyParts"]);
    assert.deepEqual(drive.happens({ type: "partsVerified", ref: drive.ref }), ["publish"]);
    assert.deepEqual(drive.answered({ kind: "publish", outcome: "unknown" }), ["readBack"]);
    assert.deepEqual(drive.answered({ kind: "readBack", outcome: "completed" }), ["attemptOver", "sendEnd", "ended"]);
  });
});

describe("an upload", () => {
  it("is taken from a member of the running attempt, one at a time and so many at most", () => {
    const drive = new Drive();
    assert.match(String(Object.values(admitUpload(7, undefined, offerOf("1"), limits))), /no snapshot s1 runs here/);
    drive.begin();
    assert.equal(admitUpload(undefined, drive.session, offerOf("1"), limits).outcome, "refused");
    assert.equal(admitUpload(7, drive.session, offerOf("2"), limits).outcome, "refused");
    assert.equal(drive.admit("local", 2).outcome, "refused");
    const upload = drive.accepted();
    assert.equal(drive.admit().outcome, "busy");
    drive.accepted("calls");
    const offer = { ...offerOf("1"), kind: "outbox", owner: "l:0" } as const;
    const third = admitUpload(7, drive.session, offer, limits);
    assert.ok(third.outcome === "refused" && third.failure?.type === "partFailed");
    endUpload(upload, "givenUp");
    assert.equal(drive.admit().outcome, "accepted");
  });

  it("is not taken outside of the scope, nor when everything is gathered", () => {
    const elsewhere = new Drive({ namespaces: ["shop"], labelSelector: {} });
    elsewhere.begin();
    assert.match(String(Object.values(elsewhere.admit())), /outside of the scope/);
    const drive = new Drive();
    drive.begin();
    drive.cut();
    stepSession(drive.session, { type: "committed", ref: drive.ref, part: part("local", a.id, a.id), nowMs: 1_000 });
    assert.equal(drive.session.snapshot.stage, "verifying");
    assert.match(String(Object.values(drive.admit("calls"))), /takes no more parts/);
    const again = drive.admit();
    assert.ok(again.outcome === "stored");
    assert.deepEqual(differingUpload(offerOf("1"), again.part), {
      type: "partStored",
      ref: drive.ref,
      part: { ...again.part, sha256: "differs" },
    });
  });

  it("stays within the limits of a part and of an attempt; what was given up counts no more", () => {
    const drive = new Drive();
    drive.begin();
    const [local, calls] = [drive.accepted(), drive.accepted("calls")];
    assert.equal(growUpload(local, 100, limits), undefined);
    assert.match(growUpload(calls, 51, limits)?.message ?? "", /snapshotBytesMax = 150 bytes \(151 so far\)/);
    endUpload(local, "givenUp");
    assert.equal(growUpload(calls, 49, limits), undefined);
    const failure = growUpload(calls, 1, limits);
    assert.match(failure?.message ?? "", /stateBytesMax = 100 bytes \(101 so far\)/);
    assert.equal(failure?.code, "StateTooLarge");
  });

  it("is over with its attempt, and what it commits then is removed", () => {
    const drive = new Drive();
    drive.begin();
    const { ref } = drive;
    const upload = drive.accepted();
    assert.equal(isUploadOver(drive.session, upload), false);
    drive.fails();
    assert.equal(isUploadOver(drive.session, upload), true);
    const late = { type: "committed", ref, part: part("local", a.id, a.id), nowMs: drive.nowMs } as const;
    assert.deepEqual(stepSession(drive.session, late), [{ type: "removeParts", attemptThrough: 1 }]);
    assert.equal(drive.session.snapshot.parts.size, 0);
    assert.equal(drive.session.traffic.names.size, 0);
  });

  it("that commits after the end of its snapshot leaves nothing, but after a completion all", () => {
    for (const [phase, removed] of [
      ["Aborted", 1],
      ["Completed", 0],
    ] as const) {
      const drive = new Drive();
      drive.begin();
      drive.session.snapshot.end = { phase, reason: "", message: "", atMs: 0 };
      drive.session.stopped = true;
      const late = { type: "committed", ref: drive.ref, part: part("local", a.id, a.id), nowMs: 1_000 } as const;
      assert.equal(stepSession(drive.session, late).filter(({ type }) => type === "removeParts").length, removed);
    }
  });

  function offerOf(incarnation: string) {
    return { ref: { snapshotId: "s1", attempt: 1 }, processId: a.id, incarnation, kind: "local", owner: a.id } as const;
  }
});

describe("an effect line", () => {
  it("performs in order, those last that performing sets off, and goes on after an error", () => {
    const performed: string[] = [];
    const line = new EffectLine<string>((effect) => {
      if (effect === "one") line.add(["four"]);
      performed.push(effect);
      if (effect === "two") throw new Error("two fails");
    });
    assert.throws(() => line.add(["one", "two", "three"]), /two fails/);
    line.add(["five"]);
    assert.deepEqual(performed, ["one", "two", "three", "four", "five"]);
  });
});
