import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judgeReadiness, type ReadinessFacts, type ReadinessRule } from "../../src/admin/readiness.ts";

const up: ReadinessFacts = {
  phase: "serving",
  coordinator: { address: "127.0.0.1:7401", attached: true, wasAttached: true, reason: undefined },
  links: [
    { peer: "bank/b", connected: true, wasConnected: true },
    { peer: "bank/c", connected: true, wasConnected: true },
  ],
  application: { address: "127.0.0.1:50051", reason: undefined, uncapturable: undefined },
};
const link = (peer: string, phase: "connected" | "broken" | "connecting") => ({
  peer,
  connected: phase === "connected",
  wasConnected: phase !== "connecting",
});

const codes = (facts: Partial<ReadinessFacts>, rule: ReadinessRule = "serving") => {
  const { outcome, missing, reservations } = judgeReadiness({ ...up, ...facts }, rule);
  assert.equal(outcome, missing.length === 0 ? "ready" : "unready");
  return { missing: missing.map(({ code }) => code), reservations: reservations.map(({ code }) => code) };
};

describe("judgeReadiness", () => {
  it("is ready when everything is up, also with no link yet", () => {
    for (const rule of ["serving", "strict"] as const) {
      assert.deepEqual(codes({}, rule), { missing: [], reservations: [] });
      assert.deepEqual(codes({ links: [] }, rule), { missing: [], reservations: [] });
    }
  });

  it("is not ready at the start and at the end, whatever is up", () => {
    assert.deepEqual(codes({ phase: "starting" }).missing, ["Starting"]);
    assert.deepEqual(codes({ phase: "leaving" }).missing, ["Leaving"]);
  });

  it("does not wait for a link that has never been up, for its peer may wait for this process", () => {
    for (const rule of ["serving", "strict"] as const) {
      assert.deepEqual(codes({ links: [link("bank/b", "connecting")] }, rule), { missing: [], reservations: [] });
    }
  });

  it("waits for the coordinator until it was there once; afterwards only strictly", () => {
    const coordinator = { ...up.coordinator, attached: false, reason: "UNAVAILABLE: no connection" };
    const never = { ...coordinator, wasAttached: false };
    assert.deepEqual(codes({ coordinator: never }).missing, ["CoordinatorNotAttached"]);
    assert.deepEqual(codes({ coordinator }), { missing: [], reservations: ["CoordinatorNotAttached"] });
    assert.deepEqual(codes({ coordinator }, "strict").missing, ["CoordinatorNotAttached"]);
  });

  it("does not count one broken link among others; it does when none is left, and strictly", () => {
    const some = { links: [link("bank/b", "broken"), link("bank/c", "connected")] };
    assert.deepEqual(codes(some), { missing: [], reservations: ["LinkDown"] });
    assert.deepEqual(codes(some, "strict").missing, ["LinkDown"]);
    const none = { links: [link("bank/b", "broken"), link("bank/c", "connecting")] };
    assert.deepEqual(codes(none).missing, ["LinksDown"]);
  });

  it("says what is missing and what to do", () => {
    const coordinator = { ...up.coordinator, attached: false, wasAttached: false, reason: "UNAVAILABLE: refused" };
    const application = { ...up.application, reason: "connect ECONNREFUSED" };
    const { missing } = judgeReadiness({ ...up, coordinator, application }, "serving");
    assert.deepEqual(
      missing.map(({ message }) => message),
      [
        "the coordinator at 127.0.0.1:7401 has not been reached yet: UNAVAILABLE: refused; start it, or correct CUTLINE_COORDINATOR_ADDRESS",
        "the application at 127.0.0.1:50051 cannot be reached: connect ECONNREFUSED; start it, or correct CUTLINE_APPLICATION_ADDRESS",
      ],
    );
  });

  it("tells of an application that cannot be captured, which serves all the same", () => {
    const application = { ...up.application, uncapturable: "it does not serve cutline.v1.Participant" };
    assert.deepEqual(codes({ application }), { missing: [], reservations: ["ApplicationNotReady"] });
  });
});
