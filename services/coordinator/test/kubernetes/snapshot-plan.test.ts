import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { finalizer, uidLabel } from "../../src/kubernetes/resources/names.ts";
import type { GlobalSnapshot } from "../../src/kubernetes/resources/objects.ts";
import type { SnapshotStatus } from "../../src/kubernetes/resources/status.ts";
import { planSnapshot, type SnapshotPlan, type SnapshotView } from "../../src/kubernetes/snapshots/plan.ts";
import { statusOf } from "../../src/kubernetes/snapshots/status.ts";
import { completed, createdAtMs, globalSnapshot, snapshot } from "./support/objects.ts";

const refusal = { code: "NoProcesses", message: "no process is attached" };

function plan(object: GlobalSnapshot, view: Partial<SnapshotView> = {}, afterMs = 5_000, term = 4): SnapshotPlan {
  return planSnapshot(
    object,
    { snapshot: undefined, ...view },
    { nowMs: createdAtMs + afterMs, term, progressMs: 1_000, refusedMs: 2_000, dataCheckMs: 60_000 },
  );
}

function statusIn(result: SnapshotPlan): SnapshotStatus {
  assert.equal(result.do, "status");
  assert.ok(result.do === "status");
  return result.status;
}

/** The status that a completed snapshot has led to. */
function completedStatus(): SnapshotStatus {
  return statusOf(globalSnapshot(), snapshot(completed), { nowMs: createdAtMs + 4_000, term: 4 });
}

function condition(status: SnapshotStatus, type: string) {
  const found = status.conditions?.find((each) => each.type === type);
  assert.ok(found, `there is a condition ${type}`);
  return found;
}

describe("what is done for a GlobalSnapshot that has not begun", () => {
  it("gets the finalizer before anything is started, and keeps others", () => {
    const object = globalSnapshot({ metadata: { finalizers: ["example.com/x"] } });
    assert.deepEqual(plan(object), { do: "finalizers", finalizers: ["example.com/x", finalizer] });
  });

  it("is started with its UID as the key, and labelled with it", () => {
    const spec = {
      timeoutSeconds: 45,
      labels: { team: "blue" },
      scope: { namespaces: ["shop"], labelSelector: { matchLabels: { app: "cart" } } },
      initiator: "shop/cart-0",
    };
    assert.deepEqual(plan(globalSnapshot({ spec })), {
      do: "ask",
      ask: {
        type: "start",
        request: {
          idempotencyKey: "uid-1",
          timeoutMs: 45_000,
          attempts: 3,
          initiator: "shop/cart-0",
          labels: { team: "blue", [uidLabel]: "uid-1" },
          scope: { namespaces: ["shop"], labelSelector: { app: "cart" } },
        },
      },
    });
  });

  it("is not started again when the coordinator has it already", () => {
    const result = plan(globalSnapshot(), { snapshot: snapshot() });
    assert.equal(statusIn(result).snapshotId, "snap1");
  });

  it("waits with the coordinator's reason when it is refused, and comes back when it is told to", () => {
    const result = plan(globalSnapshot(), { refusal: { ...refusal, retryAfterMs: 700 } });
    const status = statusIn(result);
    assert.equal(status.phase, "Pending");
    assert.equal(status.reason, "NoProcesses");
    assert.equal(condition(status, "Accepted").status, "False");
    assert.equal(result.do === "status" && result.againMs, 700);
  });

  it("fails with the coordinator's reason at its starting deadline, and not before", () => {
    const object = globalSnapshot({ spec: { startingDeadlineSeconds: 10 } });
    const before = plan(object, { refusal }, 9_000);
    assert.equal(statusIn(before).phase, "Pending");
    assert.equal(before.do === "status" && before.againMs, 1_000);
    const status = statusIn(plan(object, { refusal }, 10_000));
    assert.equal(status.phase, "Failed");
    assert.match(status.message ?? "", /not started within 10 s: no process is attached/);
    assert.equal(condition(status, "Failed").status, "True");
  });

  it("is tried once even when its deadline has passed before anybody looked", () => {
    assert.equal(plan(globalSnapshot(), {}, 3_600_000).do, "ask");
  });

  it("is never started when it is to be aborted", () => {
    const status = statusIn(plan(globalSnapshot({ spec: { abort: true } })));
    assert.equal(status.phase, "Aborted");
    assert.equal(condition(status, "Failed").status, "True");
  });
});

describe("what is done for one that runs", () => {
  const begun = { phase: "Cutting", snapshotId: "snap1", term: 4 } as const;

  it("shows n of m, and looks again", () => {
    const result = plan(globalSnapshot({ status: begun }), { snapshot: snapshot() });
    const status = statusIn(result);
    assert.equal(status.phase, "Cutting");
    assert.equal(status.processes, "2/3");
    assert.equal(status.channels, "1/6");
    assert.equal(status.inFlightMessages, 4);
    assert.equal(status.exact, undefined);
    assert.equal(condition(status, "Completed").status, "False");
    assert.equal(result.do === "status" && result.againMs, 1_000);
  });

  it("is aborted once when asked, and then watched until it has ended", () => {
    const object = globalSnapshot({ spec: { abort: true }, status: begun });
    assert.deepEqual(plan(object, { snapshot: snapshot() }), { do: "ask", ask: { type: "abort", id: "snap1" } });
    const result = plan(object, { snapshot: snapshot(), busy: true });
    assert.equal(result.do === "status" && result.againMs, 250);
    const ended = plan(object, { snapshot: snapshot({ phase: "Aborted", reason: "Aborted" }), busy: true });
    assert.equal(statusIn(ended).phase, "Aborted");
  });

  it("has failed when the store does not know it any more, and is not started again", () => {
    const status = statusIn(plan(globalSnapshot({ status: begun })));
    assert.equal(status.phase, "Failed");
    assert.equal(status.reason, "DocumentMissing");
    assert.equal(condition(status, "DataAvailable").status, "False");
  });

  it("is left alone when a later leader has written its status", () => {
    const object = globalSnapshot({ status: { ...begun, term: 5 } });
    assert.deepEqual(plan(object, { snapshot: snapshot() }), { do: "rest" });
  });
});

describe("what is done for one that has ended", () => {
  const data = { snapshot: snapshot(completed) };

  it("keeps its status while the data is there", () => {
    const status = completedStatus();
    const result = plan(globalSnapshot({ status }), data);
    assert.deepEqual(statusIn(result), status);
    assert.equal(result.do === "status" && result.againMs, 60_000);
  });

  it("has its data removed after its time to live, and comes back just then", () => {
    const object = globalSnapshot({ spec: { ttlSecondsAfterFinished: 10 }, status: completedStatus() });
    const early = plan(object, data, 5_000);
    assert.equal(early.do === "status" && early.againMs, 8_000);
    assert.deepEqual(plan(object, data, 13_000), { do: "ask", ask: { type: "remove", id: "snap1" } });
    const marked = statusIn(plan(object, {}, 13_000));
    assert.equal(condition(marked, "DataAvailable").reason, "Expired");
    assert.equal(marked.phase, "Completed");
    assert.equal(condition(marked, "Completed").status, "True");
  });

  it("is marked when the data has gone otherwise", () => {
    const marked = statusIn(plan(globalSnapshot({ status: completedStatus() })));
    assert.equal(condition(marked, "DataAvailable").status, "False");
    assert.equal(condition(marked, "DataAvailable").reason, "Removed");
  });

  it("is removed with its data when the policy says so", () => {
    const object = globalSnapshot({ spec: { expiryPolicy: "Delete" }, status: completedStatus() });
    assert.deepEqual(plan(object), { do: "deleteObject" });
    assert.equal(plan(object, data).do, "status");
  });

  it("is never started again, whatever the store says", () => {
    const status = { phase: "Failed", reason: "NoProcesses", term: 4 } as const;
    assert.equal(plan(globalSnapshot({ status })).do, "status");
    assert.equal(plan(globalSnapshot({ status, spec: { expiryPolicy: "Delete" } })).do, "status");
  });
});

describe("what is done for one that is deleted", () => {
  const metadata = { deletionTimestamp: "2026-11-23T12:10:00Z" };

  it("has its data removed first, and is let go then", () => {
    const object = globalSnapshot({ metadata, status: completedStatus() });
    const asked = plan(object, { snapshot: snapshot(completed) });
    assert.deepEqual(asked, { do: "ask", ask: { type: "remove", id: "snap1" } });
    assert.deepEqual(plan(object), { do: "finalizers", finalizers: [] });
  });

  it("is aborted first when it runs, and waits for its end", () => {
    const object = globalSnapshot({ metadata });
    assert.deepEqual(plan(object, { snapshot: snapshot() }), { do: "ask", ask: { type: "abort", id: "snap1" } });
    const ending = snapshot({ phase: "Aborted" });
    assert.deepEqual(plan(object, { snapshot: ending, busy: true }), { do: "rest", againMs: 250 });
    assert.deepEqual(plan(object, { snapshot: ending }), { do: "ask", ask: { type: "remove", id: "snap1" } });
  });

  it("leaves the data where it is when the policy says Keep", () => {
    const object = globalSnapshot({ metadata, spec: { deletionPolicy: "Keep" }, status: completedStatus() });
    assert.deepEqual(plan(object, { snapshot: snapshot(completed) }), { do: "finalizers", finalizers: [] });
  });

  it("keeps the finalizers of others, and does nothing without its own", () => {
    const both = globalSnapshot({ metadata: { ...metadata, finalizers: ["example.com/x", finalizer] } });
    assert.deepEqual(plan(both), { do: "finalizers", finalizers: ["example.com/x"] });
    const others = globalSnapshot({ metadata: { ...metadata, finalizers: ["example.com/x"] } });
    assert.deepEqual(plan(others, { snapshot: snapshot(completed) }), { do: "rest" });
  });
});
