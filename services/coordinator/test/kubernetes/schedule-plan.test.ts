import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GlobalSnapshot, GlobalSnapshotSchedule } from "../../src/kubernetes/resources/objects.ts";
import { planSchedule, snapshotOf } from "../../src/kubernetes/schedules/plan.ts";
import { child, schedule } from "./support/objects.ts";

const at = (time: string) => Date.parse(`2026-11-23T${time}Z`);

function plan(object: GlobalSnapshotSchedule, time: string, children: readonly GlobalSnapshot[] = [], term = 4) {
  return planSchedule(object, children, { nowMs: at(time), term });
}

const running = { phase: "Cutting" } as const;
const completed = { phase: "Completed", endedAt: "2026-11-23T12:10:09Z" } as const;

describe("when a schedule makes a snapshot", () => {
  it("not before its first time, and says when that is", () => {
    const result = plan(schedule(), "12:04:00");
    assert.equal(result.create, undefined);
    assert.equal(result.status?.nextScheduledAt, "2026-11-23T12:10:00Z");
    assert.equal(result.againMs, 6 * 60_000);
  });

  it("at its time, with a name that is the time's", () => {
    const result = plan(schedule(), "12:10:00");
    assert.deepEqual(result.create, { name: `nightly-${at("12:10:00") / 60_000}`, scheduledAtMs: at("12:10:00") });
    assert.equal(result.status?.lastScheduledAt, "2026-11-23T12:10:00Z");
    assert.equal(plan(schedule(), "12:10:30").create?.name, result.create?.name);
  });

  it("once: neither after it was written down, nor when it was made and not written down", () => {
    const written = schedule({ status: { lastScheduledAt: "2026-11-23T12:10:00Z" } });
    assert.equal(plan(written, "12:10:05").create, undefined);
    const made = child("nightly-1", "2026-11-23T12:10:00Z", completed);
    assert.equal(plan(schedule(), "12:10:05", [made]).create, undefined);
  });

  it("only for the newest of the times that were missed", () => {
    const result = plan(schedule({ status: { lastScheduledAt: "2026-11-23T12:10:00Z" } }), "13:00:20");
    assert.equal(result.create?.scheduledAtMs, at("13:00:00"));
  });

  it("not after the starting deadline: the time counts as missed, and is told once", () => {
    const result = plan(schedule(), "12:12:00");
    assert.equal(result.create, undefined);
    assert.equal(result.status?.lastMissedAt, "2026-11-23T12:10:00Z");
    assert.deepEqual(
      result.events.map(({ reason }) => reason),
      ["Missed"],
    );
    assert.ok(result.status);
    assert.deepEqual(plan(schedule({ status: result.status }), "12:13:00").events, []);
  });

  it("never while it is suspended", () => {
    const result = plan(schedule({ spec: { suspend: true } }), "12:10:00");
    assert.equal(result.create, undefined);
    assert.equal(result.status?.nextScheduledAt, undefined);
    assert.equal(result.againMs, undefined);
  });

  it("by the clock of its time zone", () => {
    const object = schedule({ spec: { schedule: "30 13 * * *", timeZone: "Europe/Berlin" } });
    assert.equal(plan(object, "12:30:00").create?.scheduledAtMs, at("12:30:00"));
    assert.equal(plan(object, "12:30:00").status?.nextScheduledAt, "2026-11-24T12:30:00Z");
  });

  it("not when a later leader has written, nor when the schedule is being deleted", () => {
    assert.equal(plan(schedule({ status: { term: 5 } }), "12:10:00").create, undefined);
    const metadata = { deletionTimestamp: "2026-11-23T12:09:00Z" };
    assert.equal(plan(schedule({ metadata }), "12:10:00").create, undefined);
  });
});

describe("what a schedule does while a snapshot of it still runs", () => {
  const before = [child("nightly-1", "2026-11-23T12:00:00Z", running)];

  it("Forbid waits for its end, until the deadline, and then misses the time", () => {
    const waiting = plan(schedule(), "12:10:20", before);
    assert.equal(waiting.create, undefined);
    assert.equal(waiting.againMs, 40_001);
    assert.equal(waiting.status?.activeCount, 1);
    const ended = [child("nightly-1", "2026-11-23T12:00:00Z", completed)];
    assert.notEqual(plan(schedule(), "12:10:20", ended).create, undefined);
    const late = plan(schedule(), "12:11:01", before);
    assert.match(late.events[0]?.message ?? "", /the snapshot before still ran/);
  });

  it("Allow makes another", () => {
    const result = plan(schedule({ spec: { concurrencyPolicy: "Allow" } }), "12:10:00", before);
    assert.notEqual(result.create, undefined);
    assert.deepEqual(result.abort, []);
  });

  it("Replace aborts it, once, and makes another", () => {
    const object = schedule({ spec: { concurrencyPolicy: "Replace" } });
    const result = plan(object, "12:10:00", before);
    assert.deepEqual(result.abort, before);
    assert.notEqual(result.create, undefined);
    const asked = before.map((each) => ({ ...each, spec: { ...each.spec, abort: true } }));
    assert.deepEqual(plan(object, "12:10:00", asked).abort, []);
  });
});

describe("what a schedule keeps", () => {
  it("the newest of each kind, and what has not ended", () => {
    const children = [
      child("c1", "2026-11-23T11:00:00Z", { phase: "Completed" }),
      child("c2", "2026-11-23T11:10:00Z", { phase: "Completed" }),
      child("f1", "2026-11-23T11:20:00Z", { phase: "Failed" }),
      child("a1", "2026-11-23T11:30:00Z", { phase: "Aborted" }),
      child("r1", "2026-11-23T11:40:00Z", running),
      child("c3", "2026-11-23T11:50:00Z", { phase: "Completed" }),
    ];
    const object = schedule({ spec: { successfulHistoryLimit: 1, failedHistoryLimit: 1 } });
    const names = plan(object, "12:01:00", children).remove.map(({ metadata }) => metadata.name);
    assert.deepEqual(names.sort(), ["c1", "c2", "f1"]);
  });

  it("the one of the later time, of two that were made in one second", () => {
    const inOneSecond = (name: string, scheduledAt: string) => {
      const made = child(name, scheduledAt, { phase: "Completed" });
      return { ...made, metadata: { ...made.metadata, creationTimestamp: "2026-11-23T12:00:01Z" } };
    };
    const children = [inOneSecond("earlier", "2026-11-23T11:50:00Z"), inOneSecond("later", "2026-11-23T12:00:00Z")];
    for (const order of [children, children.toReversed()]) {
      const { remove } = plan(schedule({ spec: { successfulHistoryLimit: 1 } }), "12:01:00", order);
      assert.deepEqual(
        remove.map(({ metadata }) => metadata.name),
        ["earlier"],
      );
    }
  });

  it("the time of its newest success, even when that snapshot is gone", () => {
    const { status } = plan(schedule(), "12:10:30", [child("c1", "2026-11-23T12:10:00Z", completed)]);
    assert.equal(status?.lastSuccessfulAt, "2026-11-23T12:10:09Z");
    assert.ok(status);
    assert.equal(plan(schedule({ status }), "12:10:40").status?.lastSuccessfulAt, "2026-11-23T12:10:09Z");
  });
});

describe("a schedule that is not valid", () => {
  const cases = [
    { why: "fields", spec: { schedule: "61 * * * *" }, message: /61 \* \* \* \* is not a cron expression/ },
    { why: "zone", spec: { timeZone: "Europe/Nowhere" }, message: /Europe\/Nowhere is not a time zone/ },
    { why: "no such day", spec: { schedule: "0 0 30 2 *" }, message: /no time in the future/ },
  ];
  for (const { why, spec, message } of cases) {
    it(`says so, makes nothing and does not come back by itself (${why})`, () => {
      const result = plan(schedule({ spec }), "12:10:00");
      assert.equal(result.create, undefined);
      assert.equal(result.againMs, undefined);
      assert.match(result.status?.conditions?.[0]?.message ?? "", message);
      assert.equal(result.status?.conditions?.[0]?.status, "False");
      assert.equal(result.events[0]?.reason, "InvalidSchedule");
      assert.ok(result.status);
      assert.deepEqual(plan(schedule({ spec, status: result.status }), "12:20:00").events, []);
    });
  }
});

it("a schedule's snapshot is owned by it, and has what the template says", () => {
  const object = schedule({
    spec: { template: { metadata: { labels: { team: "blue" } }, spec: { ...schedule().spec.template.spec } as never } },
  });
  const made = snapshotOf(object, { name: "nightly-1", scheduledAtMs: at("12:10:00") });
  assert.deepEqual(made.metadata.labels, { team: "blue", "cutline.dev/schedule": "nightly" });
  assert.equal(made.metadata.ownerReferences[0]?.uid, "uid-s");
  assert.equal(made.metadata.annotations["cutline.dev/scheduled-at"], "2026-11-23T12:10:00Z");
});
