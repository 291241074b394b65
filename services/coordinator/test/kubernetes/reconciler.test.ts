import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KubeError } from "../../src/kubernetes/api/errors.ts";
import type { EventFacts } from "../../src/kubernetes/events.ts";
import type { GlobalSnapshot } from "../../src/kubernetes/resources/objects.ts";
import { SnapshotReconciler } from "../../src/kubernetes/snapshots/reconciler.ts";
import { MemorySnapshots } from "../http/support/fakes.ts";
import { createdAtMs, globalSnapshot } from "./support/objects.ts";

function reconcilerOf(term: number | undefined, fail?: KubeError) {
  const snapshots = new MemorySnapshots();
  const statuses: object[] = [];
  const told: EventFacts[] = [];
  let object: GlobalSnapshot = globalSnapshot();
  const reconciler = new SnapshotReconciler({
    snapshots,
    objects: {
      patch: async () => object,
      remove: async () => undefined,
      writeStatus: async (before, status) => {
        if (fail !== undefined) throw fail;
        statuses.push(status);
        return { ...before, status };
      },
    },
    cache: {
      get: () => object,
      learn: (written) => {
        object = written;
      },
    },
    events: { tell: async (_kind, _object, facts) => void told.push(...facts) },
    limits: { progressMs: 1_000, refusedMs: 2_000, dataCheckMs: 60_000 },
    writingTerm: () => term,
    nowMs: () => createdAtMs + 1_000,
  });
  return { reconciler, snapshots, statuses, told };
}

describe("a pass over a GlobalSnapshot", () => {
  it("starts it, writes its status once, and tells so; the next one has nothing to write", async () => {
    const { reconciler, snapshots, statuses, told } = reconcilerOf(4);
    assert.deepEqual(await reconciler.reconcile("shop/before-upgrade"), { outcome: "again", afterMs: 1_000 });
    await reconciler.reconcile("shop/before-upgrade");
    assert.equal(snapshots.starts.length, 1);
    assert.equal(statuses.length, 1);
    assert.deepEqual(
      told.map(({ reason }) => reason),
      ["Started"],
    );
  });

  it("does nothing while this replica may not write, and comes back", async () => {
    const { reconciler, snapshots } = reconcilerOf(undefined);
    assert.deepEqual(await reconciler.reconcile("shop/before-upgrade"), { outcome: "again", afterMs: 500 });
    assert.equal(snapshots.starts.length, 0);
  });

  it("comes back soon when somebody else has written, and tells nothing", async () => {
    const { reconciler, told } = reconcilerOf(4, new KubeError("KubeConflict", "changed"));
    assert.deepEqual(await reconciler.reconcile("shop/before-upgrade"), { outcome: "again", afterMs: 200 });
    assert.deepEqual(told, []);
  });

  it("does not start it again when its status was not written", async () => {
    const { reconciler, snapshots } = reconcilerOf(4, new KubeError("KubeUnavailable", "away"));
    for (let pass = 0; pass < 3; pass += 1) await assert.rejects(reconciler.reconcile("shop/before-upgrade"));
    assert.equal(snapshots.starts.length, 1);
  });
});
