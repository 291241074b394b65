import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  afterBreak,
  beginDialling,
  type Dialling,
  type DialOutcome,
  hearAnswer,
  mustSayGivenUp,
  nextDial,
} from "@cutline/protocol";

const limits = { resumeTimeoutMs: 1_000, retryMinMs: 50, retryMaxMs: 300 };
const peer = { processId: "bank/b", incarnation: "b1" };
const failed: DialOutcome = { outcome: "failed", message: "ECONNREFUSED" };
const lost = (lastedMs: number): DialOutcome => ({ outcome: "lost", message: "reset", lastedMs });

function again(dialling: Dialling, outcome: DialOutcome, nowMs: number, progress = 0) {
  const next = nextDial(dialling, outcome, { peer, progress }, nowMs, limits);
  if (next.next === "giveUp") assert.fail(next.reason);
  return next;
}

describe("the dialler of a link", () => {
  it("tries again after pauses that double up to a bound", () => {
    let dialling = beginDialling(0, limits);
    const pauses: number[] = [];
    for (let tries = 0; tries < 5; tries += 1) {
      const next = again(dialling, failed, 10);
      pauses.push(next.afterMs);
      assert.equal(next.dialling.resume, false, "there is nothing to resume yet");
      dialling = next.dialling;
    }
    assert.deepEqual(pauses, [50, 100, 200, 300, 300]);
  });

  it("gives up after resumeTimeoutMs without a connection, counted from when it was lost", () => {
    const dialling = beginDialling(0, limits);
    again(dialling, failed, 1_000);
    const reason = "process bank/b cannot be reached: ECONNREFUSED";
    assert.deepEqual(nextDial(dialling, failed, { peer, progress: 0 }, 1_001, limits), { next: "giveUp", reason });
    const broken = again(dialling, lost(300), 5_000).dialling;
    again(broken, failed, 6_000);
    assert.equal(nextDial(broken, failed, { peer, progress: 0 }, 6_001, limits).next, "giveUp");
  });

  it("resumes what has been up, and begins its pauses anew when something got across or it lasted", () => {
    const slow: Dialling = { resume: false, pauseMs: 300, brokenSinceMs: 0, progress: 7 };
    for (const [outcome, progress] of [
      [lost(0), 8],
      [lost(300), 7],
    ] as const) {
      const next = again(slow, outcome, 900, progress);
      assert.deepEqual(next, {
        next: "dial",
        afterMs: 50,
        dialling: { resume: true, pauseMs: 100, brokenSinceMs: 900, progress },
      });
    }
  });

  it("takes a connection that breaks at once for none", () => {
    const slow: Dialling = { resume: true, pauseMs: 200, brokenSinceMs: 0, progress: 7 };
    assert.deepEqual(again(slow, lost(299), 900, 7), {
      next: "dial",
      afterMs: 200,
      dialling: { resume: true, pauseMs: 300, brokenSinceMs: 0, progress: 7 },
    });
    assert.equal(nextDial(slow, lost(299), { peer, progress: 7 }, 1_001, limits).next, "giveUp");
  });

  it("gives up at once what was refused", () => {
    const refused: DialOutcome = { outcome: "refused", message: "no" };
    const next = nextDial(beginDialling(0, limits), refused, { peer, progress: 0 }, 0, limits);
    assert.deepEqual(next, { next: "giveUp", reason: "no" });
  });

  it("hears from the answer whether the link is up, is over, or may be tried again", () => {
    const alive = { peer, dead: false };
    const refusal = (code: string) => ({ type: "refusal" as const, code, message: "m" });
    assert.equal(hearAnswer(alive, { type: "welcome", ...peer }).outcome, "up");
    assert.equal(hearAnswer(alive, refusal("STALE")).outcome, "failed");
    for (const code of ["VERSION", "IDENTITY", "INCARNATION", "UNKNOWN_LINK", "CLOSED", "what nobody knows"]) {
      assert.deepEqual(hearAnswer(alive, refusal(code)), {
        outcome: "refused",
        message: `process bank/b refused the link: ${code}, m`,
      });
    }
    assert.equal(hearAnswer(alive, { type: "welcome", ...peer, incarnation: "b2" }).outcome, "refused");
    assert.equal(hearAnswer(alive, { type: "welcome", ...peer, processId: "bank/c" }).outcome, "refused");
    assert.equal(hearAnswer({ peer, dead: true }, { type: "welcome", ...peer }).outcome, "over");
    assert.equal(hearAnswer({ peer, dead: true }, refusal("CLOSED")).outcome, "refused");
  });
});

describe("a link whose connection is gone", () => {
  it("is dialled again by its dialler, and waited for a little longer by its acceptor", () => {
    assert.deepEqual(afterBreak({ peer, role: "dialler" }, "present", limits), { next: "dial" });
    assert.deepEqual(afterBreak({ peer, role: "acceptor" }, "present", limits), {
      next: "awaitResume",
      withinMs: 1_300,
      reason: "process bank/b did not resume the link",
    });
  });

  it("is over when the process has left", () => {
    for (const role of ["dialler", "acceptor"] as const) {
      const reason = "process bank/b has left";
      assert.deepEqual(afterBreak({ peer, role }, "absent", limits), { next: "close", reason });
    }
  });

  it("has to be given up on a connection of its own by the dialler alone, and only once", () => {
    const broken = { role: "dialler" as const, connected: false, dead: false };
    assert.equal(mustSayGivenUp(broken), true);
    assert.equal(mustSayGivenUp({ ...broken, connected: true }), false, "the connection says it");
    assert.equal(mustSayGivenUp({ ...broken, dead: true }), false);
    assert.equal(mustSayGivenUp({ ...broken, role: "acceptor" }), false);
  });
});
