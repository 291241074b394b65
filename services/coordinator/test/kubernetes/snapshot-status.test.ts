import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventsOfChange } from "../../src/kubernetes/snapshots/events.ts";
import { statusOf, waitingStatus } from "../../src/kubernetes/snapshots/status.ts";
import { completed, createdAtMs, globalSnapshot, snapshot } from "./support/objects.ts";

const context = { nowMs: createdAtMs + 5_000, term: 4 };
const object = globalSnapshot();

describe("the status of a GlobalSnapshot", () => {
  it("says when all is well that it is Completed, exact and there", () => {
    const status = statusOf(object, snapshot(completed), context);
    assert.equal(status.exact, true);
    assert.equal(status.startedAt, "2026-11-23T12:00:01Z");
    assert.equal(status.endedAt, "2026-11-23T12:00:03Z");
    assert.deepEqual(
      status.conditions?.map(({ type, status: holds }) => `${type}=${holds}`),
      ["Accepted=True", "Completed=True", "Failed=False", "Exact=True", "DataAvailable=True"],
    );
    for (const condition of status.conditions ?? []) assert.notEqual(condition.reason, "", condition.type);
    assert.equal(status.problems, undefined);
  });

  it("names the pods that are to blame, those first that ended it", () => {
    const message = "process bank/branch-2 (incarnation 7) is lost: it did not come back within 5000 ms";
    const failed = snapshot({
      phase: "Failed",
      reason: "ProcessLost",
      message,
      processes: [
        { id: "bank/branch-1", phase: "Stored" },
        { id: "bank/branch-2", phase: "Lost" },
        { id: "bank/branch-3", phase: "Waiting" },
      ],
      reasons: [{ code: "EnvironmentPeer", message: "outbound calls with x", processId: "bank/branch-1" }],
    });
    const status = statusOf(object, failed, context);
    assert.equal(status.message, message);
    assert.deepEqual(
      status.problems?.map(({ pod, code }) => `${pod} ${code}`),
      ["bank/branch-2 ProcessLost", "bank/branch-1 EnvironmentPeer"],
    );
    const [event] = eventsOfChange(statusOf(object, snapshot(), context), status);
    assert.equal(event?.type, "Warning");
    assert.equal(event?.reason, "ProcessLost");
    assert.match(event?.message ?? "", /bank\/branch-2/);
  });

  it("names those that were waited for, where nobody ended it", () => {
    const processes = [
      { id: "bank/branch-1", phase: "Stored" },
      { id: "bank/branch-2", phase: "Cut" },
      { id: "bank/branch-3", phase: "Waiting" },
    ];
    const late = snapshot({ phase: "Failed", reason: "DeadlineExceeded", message: "after 30000 ms", processes });
    assert.deepEqual(
      statusOf(object, late, context).problems?.map(({ pod, code }) => `${pod} ${code}`),
      ["bank/branch-2 NotStored", "bank/branch-3 NotCut"],
    );
  });

  it("takes the pod from the lifecycle's sentence, and no other whose name begins alike", () => {
    const failed = snapshot({
      phase: "Failed",
      reason: "CaptureFailed",
      message: "shop/cart-1: CaptureTimeout: the application did not answer",
      processes: [
        { id: "shop/cart-1", phase: "Waiting" },
        { id: "shop/cart", phase: "Stored" },
      ],
    });
    const status = statusOf(object, failed, context);
    assert.deepEqual(
      status.problems?.map(({ pod, code }) => `${pod} ${code}`),
      ["shop/cart-1 CaptureFailed"],
    );
  });

  it("says what is not exact, and by which pod", () => {
    const inexact = snapshot({
      ...completed,
      exact: false,
      reasons: [
        { code: "TrafficDuringRead", message: "the application sent while it was read", processId: "shop/cart-0" },
      ],
    });
    const status = statusOf(object, inexact, context);
    const exact = status.conditions?.find(({ type }) => type === "Exact");
    assert.equal(exact?.status, "False");
    assert.equal(exact?.reason, "TrafficDuringRead");
    assert.match(exact?.message ?? "", /shop\/cart-0: the application sent/);
    assert.equal(eventsOfChange(undefined, status).at(-1)?.reason, "CompletedNotExact");
  });

  it("is bounded, whatever the coordinator says", () => {
    const reasons = Array.from({ length: 200 }, (_, at) => ({
      code: "X",
      message: "y".repeat(9_000),
      processId: `a/${at}`,
    }));
    const status = statusOf(
      object,
      snapshot({ ...completed, exact: false, reasons, message: "z".repeat(9_000) }),
      context,
    );
    assert.ok(JSON.stringify(status).length < 40_000);
  });

  it("keeps the time of a condition's change until it changes", () => {
    const first = statusOf(object, snapshot(), context);
    const later = { ...context, nowMs: context.nowMs + 60_000 };
    const second = statusOf({ ...object, status: first }, snapshot(completed), later);
    const timeOf = (status: typeof first, type: string) =>
      status.conditions?.find((each) => each.type === type)?.lastTransitionTime;
    assert.equal(timeOf(second, "Accepted"), timeOf(first, "Accepted"));
    assert.equal(timeOf(second, "Completed"), "2026-11-23T12:01:05Z");
  });
});

describe("the events of a GlobalSnapshot", () => {
  const running = statusOf(object, snapshot(), context);
  const ended = statusOf(object, snapshot(completed), context);

  it("tell each step once", () => {
    const refused = waitingStatus(object, { code: "NoProcesses", message: "nobody is there" }, "Pending", context);
    const reasons = (...changes: Parameters<typeof eventsOfChange>) =>
      eventsOfChange(...changes).map(({ reason }) => reason);
    assert.deepEqual(reasons(undefined, refused), ["NoProcesses"]);
    assert.deepEqual(reasons(refused, refused), []);
    assert.deepEqual(reasons(refused, running), ["Started"]);
    assert.deepEqual(reasons(running, running), []);
    assert.deepEqual(reasons(running, { ...running, attempt: 2 }), ["AttemptFailed"]);
    assert.deepEqual(reasons(running, ended), ["Completed"]);
    assert.deepEqual(reasons(ended, ended), []);
  });
});
