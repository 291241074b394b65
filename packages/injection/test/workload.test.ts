import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { knowsNativeSidecars } from "../src/policy.ts";
import { podPathOf } from "../src/workload.ts";

describe("workloads", () => {
  it("have their pod where their kind has it", () => {
    const at = (apiVersion: string, kind: string) => podPathOf({ apiVersion, kind })?.join(".");
    assert.equal(at("v1", "Pod"), "");
    for (const kind of ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"]) {
      assert.equal(at("apps/v1", kind), "spec.template", kind);
    }
    assert.equal(at("batch/v1", "Job"), "spec.template");
    assert.equal(at("batch/v1beta1", "CronJob"), "spec.jobTemplate.spec.template");
    assert.equal(at("v1", "Service"), undefined);
    assert.equal(at("example.com/v1", "Deployment"), undefined, "somebody else's Deployment");
    assert.equal(podPathOf(["v1", "Pod"]), undefined);
  });

  it("are given native sidecars from 1.29 on", () => {
    assert.equal(knowsNativeSidecars({ major: "1", minor: "28" }), false);
    assert.equal(knowsNativeSidecars({ major: "1", minor: "29+" }), true);
    assert.equal(knowsNativeSidecars({ major: "2", minor: "0" }), true);
    assert.equal(knowsNativeSidecars({ major: "", minor: "" }), false);
  });
});
