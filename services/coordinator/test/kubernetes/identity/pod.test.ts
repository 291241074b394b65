import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ReviewedUser } from "../../../src/kubernetes/access/reviews.ts";
import { podOf } from "../../../src/kubernetes/identity/pod.ts";
import { PodQuota } from "../../../src/kubernetes/identity/quota.ts";

const podName = "authentication.kubernetes.io/pod-name";
const podUid = "authentication.kubernetes.io/pod-uid";
const account = "system:serviceaccount:shop:orders";
const bound: ReviewedUser = { username: account, extra: { [podName]: ["orders-0"], [podUid]: ["uid-1"] } };

describe("whose pod a token is", () => {
  it("is said by the claims", () => {
    const pod = { processId: "shop/orders-0", namespace: "shop", podUid: "uid-1", serviceAccount: "orders" };
    assert.deepEqual(podOf(bound, []), { outcome: "bound", pod });
    assert.equal(podOf(bound, ["shop"]).outcome, "bound");
  });

  for (const [what, user] of [
    ["of a user, whatever its extra says", { ...bound, username: "mara" }],
    ["of one who is called nearly like an account", { ...bound, username: "x:system:serviceaccount:shop:orders" }],
    ["of an account with more behind it", { ...bound, username: `${account}:evil` }],
    ["of an account with a slash", { ...bound, username: "system:serviceaccount:shop/other:orders" }],
    ["without extra", { username: account }],
    ["without a pod's name", { ...bound, extra: { [podUid]: ["uid-1"] } }],
    ["without a pod's UID", { ...bound, extra: { [podName]: ["orders-0"] } }],
    ["with two names", { ...bound, extra: { [podName]: ["orders-0", "orders-1"], [podUid]: ["uid-1"] } }],
    ["with an empty name", { ...bound, extra: { [podName]: [""], [podUid]: ["uid-1"] } }],
    ["with a path for a name", { ...bound, extra: { [podName]: ["../coordinator"], [podUid]: ["uid-1"] } }],
    ["with a line break in the name", { ...bound, extra: { [podName]: ["orders-0\n"], [podUid]: ["uid-1"] } }],
  ] as const) {
    it(`is nobody's when it is one ${what}`, () => {
      const outcome = podOf(user, []);
      assert.ok(outcome.outcome === "refused");
      assert.equal(outcome.code, "TokenNotBound");
    });
  }

  it("must be in a namespace that is served", () => {
    const outcome = podOf(bound, ["bank"]);
    assert.ok(outcome.outcome === "refused");
    assert.equal(outcome.code, "NamespaceNotServed");
  });
});

describe("how many certificates a pod gets", () => {
  const limits = { perPodMax: 2, windowMs: 100, podsMax: 2 };

  it("is bounded in a window, and says how long to wait", () => {
    const quota = new PodQuota(limits);
    assert.deepEqual(
      [0, 10, 30, 99, 100].map((nowMs) => quota.take("a", nowMs)),
      [0, 0, 70, 1, 0],
    );
  });

  it("is counted for a bounded number of pods", () => {
    const quota = new PodQuota(limits);
    for (const pod of ["a", "a", "b", "c"]) quota.take(pod, 0);
    assert.equal(quota.take("a", 1), 0, "the oldest was forgotten");
    assert.equal(quota.take("c", 1), 0);
    assert.equal(quota.take("c", 1), 99);
  });
});
