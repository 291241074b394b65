import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { it } from "node:test";
import { nowMs } from "../../../src/driver/clock.ts";
import { openPodCluster } from "../../../src/kubernetes/api/pod-cluster.ts";
import type { GlobalSnapshot } from "../../../src/kubernetes/resources/objects.ts";
import { openAccount } from "../support/account.ts";
import { applyDefinitions, clientOf, TestNamespace } from "../support/cluster.ts";
import { Replica, takePartInNext } from "../support/replica.ts";

it("the controller's own rules are enough, in one namespace, and it touches no other", async (t) => {
  await applyDefinitions();
  const admin = await clientOf();
  const namespace = await TestNamespace.open();
  const other = await TestNamespace.open();
  const { folder, server } = await openAccount(admin, namespace);
  const client = await clientOf(await openPodCluster(server, folder, nowMs));
  const replica = await Replica.open({ namespace, client });
  t.after(async () => {
    await replica.stop();
    await namespace.close();
    await other.close();
    admin.close();
    await rm(folder, { recursive: true });
  });
  const mesh = await replica.mesh("shop/a", "shop/b");

  await other.create("GlobalSnapshot", "elsewhere");
  await namespace.create("GlobalSnapshotSchedule", "yearly", { schedule: "0 0 1 1 *", successfulHistoryLimit: 0 });
  await namespace.create("GlobalSnapshot", "allowed", { ttlSecondsAfterFinished: 1, expiryPolicy: "Delete" });
  await takePartInNext(mesh, []);
  await replica.world.until("completed, expired and removed", async () =>
    (await namespace.read("globalsnapshots", "allowed")) === undefined ? true : undefined,
  );
  await replica.world.until("the schedule's status", async () => {
    const schedule = await namespace.read<{ status?: object }>("globalsnapshotschedules", "yearly");
    return schedule?.status;
  });
  assert.match(await namespace.kubectl("get", "events"), /Completed/);
  const untouched = await other.read<GlobalSnapshot>("globalsnapshots", "elsewhere");
  assert.equal(untouched?.status, undefined);
  assert.equal(untouched?.metadata.finalizers, undefined);
  const forbidden = replica.world.lines.filter(({ fields }) => String(fields.error).includes("forbidden"));
  assert.deepEqual(forbidden, []);
});
