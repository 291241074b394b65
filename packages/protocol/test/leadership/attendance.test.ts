import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AgentPresence, Attendance, endedMeanwhile, endOfAttempt, type ProcessHello } from "../../src/index.ts";

type Room = Attendance<AgentPresence, ProcessHello, string>;

function room(): Room {
  return new Attendance({ heartbeatMs: 100, heartbeatsMissedMax: 4, graceMs: 500 }, 1_000);
}

function hello(processId: string, incarnation = "1"): ProcessHello {
  return { processId, incarnation };
}

function attach(attendance: Room, said: ProcessHello, nowMs = 1_000): AgentPresence {
  const stream = { ...said, lastHeardMs: nowMs };
  attendance.greet(said, nowMs);
  attendance.welcomed(stream);
  return stream;
}

function known(attendance: Room): string[] {
  return attendance.directory.list().map((one) => `${one.hello.processId}#${one.hello.incarnation}`);
}

describe("the agents of a coordinator", () => {
  it("are known when they greet, and told things when they were welcomed", () => {
    const attendance = room();
    assert.equal(attendance.greet(hello("a"), 1_000), undefined);
    assert.deepEqual(known(attendance), ["a#1"]);
    assert.deepEqual(attendance.streams(), []);
    const stream = { ...hello("a"), lastHeardMs: 1_000 };
    attendance.welcomed(stream);
    assert.equal(attendance.find("a"), stream);
    assert.equal(attendance.size, 1);
  });

  it("have one stream a process: the later one takes the place, and the end of the earlier one means nothing", () => {
    const attendance = room();
    const first = attach(attendance, hello("a", "1"));
    assert.equal(attendance.greet(hello("a", "2"), 1_010), first);
    assert.equal(attendance.broken(first), "stale");
    const second = { ...hello("a", "2"), lastHeardMs: 1_010 };
    attendance.welcomed(second);
    attendance.leave(first);
    assert.equal(attendance.find("a"), second);
    assert.deepEqual(known(attendance), ["a#2"]);
  });

  it("stay known for the grace period after their stream broke, and not after they left", () => {
    const attendance = room();
    const [a, b] = [attach(attendance, hello("a")), attach(attendance, hello("b"))];
    assert.equal(attendance.broken(a), "detached");
    attendance.directory.detach("a", "1", 1_100);
    attendance.directory.detach("a", "1", 1_500);
    assert.equal(attendance.broken(a), "stale");
    attendance.leave(b);
    assert.deepEqual(known(attendance), ["a#1"]);
    assert.deepEqual([...attendance.directory.attached()], []);
    assert.deepEqual(attendance.expire(1_599), []);
    assert.deepEqual(
      attendance.expire(1_600).map((one) => one.hello.processId),
      ["a"],
    );
    assert.deepEqual(known(attendance), []);
  });

  it("are as they said last; another incarnation has said nothing yet", () => {
    const { directory } = room();
    directory.attach(hello("a", "1"), 0);
    directory.setStatus("a", "1", "ready");
    directory.setStatus("a", "0", "stale");
    directory.attach(hello("a", "1"), 10);
    assert.equal(directory.list()[0]?.status, "ready");
    directory.attach(hello("a", "2"), 20);
    assert.equal(directory.list()[0]?.status, undefined);
    directory.remove("a", "1");
    directory.detach("a", "1", 30);
    assert.deepEqual([...directory.attached()], ["a"]);
  });

  it("are given up when nothing is heard of them, but not for this program's own standstill", () => {
    const attendance = room();
    const [a, b] = [attach(attendance, hello("a")), attach(attendance, hello("b"))];
    for (let nowMs = 1_100; nowMs <= 1_400; nowMs += 100) assert.deepEqual(attendance.silent(nowMs), []);
    b.lastHeardMs = 1_450;
    assert.deepEqual(attendance.silent(1_500), [a]);
    // It stood still for 10 seconds.
    assert.deepEqual(attendance.silent(11_600), [a]);
    assert.ok(b.lastHeardMs <= 11_600);
    for (let nowMs = 11_700; nowMs <= 11_800; nowMs += 100) assert.deepEqual(attendance.silent(nowMs), [a]);
    assert.deepEqual(attendance.silent(11_950), [a, b]);
  });

  it("are sent away by a loss of the lead; a new term begins with nobody", () => {
    const attendance = room();
    const a = attach(attendance, hello("a"));
    assert.deepEqual(attendance.dismiss(), [a]);
    assert.deepEqual([attendance.size, known(attendance)], [0, []]);
    attendance.directory.attach(hello("b"), 0);
    attendance.lead(0);
    assert.deepEqual([known(attendance), attendance.directory.changes], [[], 0]);
  });
});

describe("the directory", () => {
  it("is sent when it has changed, once, and not before the agents had time to come back", () => {
    const attendance = room();
    attendance.lead(1_080);
    const a = attach(attendance, hello("a"));
    assert.equal(attendance.isSettled(1_079), false);
    assert.equal(attendance.pushDirectory(1_079), "notDue");
    assert.equal(attendance.isSettled(1_080), true);
    assert.equal(attendance.pushDirectory(1_080), "due");
    assert.equal(attendance.pushDirectory(1_090), "notDue");
    attendance.broken(a);
    attendance.directory.detach("a", "1", 1_100);
    assert.equal(attendance.pushDirectory(1_100), "notDue");
    attendance.expire(1_700);
    assert.equal(attendance.pushDirectory(1_700), "due");
    attendance.directory.noteChange();
    assert.equal(attendance.pushDirectory(1_710), "due", "other authorities of the same processes");
    assert.equal(attendance.pushDirectory(1_720), "notDue");
  });
});

describe("an agent that comes back", () => {
  it("is told the end of attempts that do not run", () => {
    const ref = (attempt: number) => ({ snapshotId: "s", attempt });
    const other = { snapshotId: "t", attempt: 1 };
    assert.deepEqual(endedMeanwhile([ref(1), ref(2), other], [ref(2)]), [ref(1), other]);
  });

  it("is told how: as the store says of this very attempt, or that it is over", () => {
    const ref = { snapshotId: "s", attempt: 2 };
    const over = { phase: "Failed", reason: "AttemptOver" };
    assert.deepEqual(endOfAttempt(ref, undefined), over);
    assert.deepEqual(endOfAttempt(ref, { phase: "Completed", reason: "", attempt: 2 }), {
      phase: "Completed",
      reason: "",
    });
    assert.deepEqual(endOfAttempt(ref, { phase: "Completed", reason: "", attempt: 3 }), over);
    assert.deepEqual(endOfAttempt(ref, { phase: "Cutting", reason: "", attempt: 2 }), over);
  });
});
