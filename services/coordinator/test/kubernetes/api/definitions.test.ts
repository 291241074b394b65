import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import type { GlobalSnapshot, GlobalSnapshotSchedule } from "../../../src/kubernetes/resources/objects.ts";
import { applyDefinitions, clientOf, kubectl, TestNamespace, until } from "../support/cluster.ts";

const crds = fileURLToPath(new URL("../../../../../deploy/helm/cutline/crds/", import.meta.url));

describe("the definitions at an API server", () => {
  let client: KubeClient;
  let namespace: TestNamespace;

  before(async () => {
    client = await clientOf();
    // As it is installed. Without kubectl's own check: an API server older than CEL would not know the rules.
    await kubectl(["apply", "--validate=false", "-f", crds]);
    await applyDefinitions();
    namespace = await TestNamespace.open();
  });

  after(async () => {
    await namespace.close();
    client.close();
  });

  it("are taken as structural, without a complaint", async () => {
    for (const name of ["globalsnapshots.cutline.dev", "globalsnapshotschedules.cutline.dev"]) {
      const text = await kubectl(["get", "crd", name, "-o", "json"]);
      const { status } = JSON.parse(text) as { status: { conditions: { type: string; status: string }[] } };
      const conditions = Object.fromEntries(status.conditions.map((each) => [each.type, each.status]));
      assert.equal(conditions.Established, "True");
      assert.equal(conditions.NamesAccepted, "True");
      assert.notEqual(conditions.NonStructuralSchema, "True");
    }
  });

  it("know short names and the category", async () => {
    await namespace.create("GlobalSnapshot", "short");
    assert.match(await namespace.kubectl("get", "gsnap"), /short/);
    assert.match(await namespace.kubectl("get", "cutline"), /globalsnapshot\.cutline\.dev\/short/);
    assert.match(await namespace.kubectl("get", "gsnapsched", "--ignore-not-found"), /^$/);
  });

  it("fill in what a user leaves out", async () => {
    await namespace.create("GlobalSnapshot", "bare");
    const { spec } = (await namespace.read<GlobalSnapshot>("globalsnapshots", "bare")) ?? {};
    assert.deepEqual(spec, {
      abort: false,
      attempts: 3,
      deletionPolicy: "Delete",
      expiryPolicy: "Mark",
      startingDeadlineSeconds: 300,
      timeoutSeconds: 30,
    });
    await namespace.create("GlobalSnapshotSchedule", "bare", { schedule: "0 3 * * *" });
    const schedule = await namespace.read<GlobalSnapshotSchedule>("globalsnapshotschedules", "bare");
    assert.equal(schedule?.spec.timeZone, "Etc/UTC");
    assert.equal(schedule?.spec.concurrencyPolicy, "Forbid");
  });

  const refused: Record<string, object> = {
    "no such policy": { deletionPolicy: "Maybe" },
    "too long": { timeoutSeconds: 7_200 },
    "too many attempts": { attempts: 11 },
    "no process": { initiator: "cart-0" },
    "no namespace": { scope: { namespaces: ["Not A Name"] } },
    "the same namespace twice": { scope: { namespaces: ["a", "a"] } },
  };
  for (const [why, spec] of Object.entries(refused)) {
    it(`refuse ${why}`, async () => {
      await assert.rejects(namespace.create("GlobalSnapshot", "wrong", spec), /[Ii]nvalid/);
    });
  }

  it("keep spec and status apart", async () => {
    await namespace.create("GlobalSnapshot", "apart");
    const object = await namespace.read<GlobalSnapshot>("globalsnapshots", "apart");
    assert.ok(object);
    const path = `/apis/cutline.dev/v1alpha1/namespaces/${namespace.name}/globalsnapshots/apart`;
    const body = { status: { phase: "Completed" }, spec: { attempts: 5 } };
    const patched = await client.send<GlobalSnapshot>({ method: "PATCH", path, body });
    assert.equal(patched.status, undefined);
    assert.equal(patched.spec.attempts, 5);
    const told = await client.send<GlobalSnapshot>({ method: "PATCH", path: `${path}/status`, body });
    assert.equal(told.status?.phase, "Completed");
    assert.equal(told.metadata.generation, patched.metadata.generation);
  });

  it("are explained by kubectl", async () => {
    // A server publishes what it knows of a definition some time after it has established it.
    await until("kubectl to explain a field", async () => {
      const text = await kubectl(["explain", "gsnap.spec.deletionPolicy"]).catch((error: Error) => error.message);
      return /What becomes of the data/.test(text);
    });
  });
});
