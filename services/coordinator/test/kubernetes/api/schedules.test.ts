import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { nowMs } from "../../../src/driver/clock.ts";
import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import type { GlobalSnapshot, GlobalSnapshotSchedule } from "../../../src/kubernetes/resources/objects.ts";
import type { FakeAgent } from "../../support/fake-agent.ts";
import { applyDefinitions, clientOf, TestNamespace } from "../support/cluster.ts";
import { Replica, takePartInNext } from "../support/replica.ts";

/** For all of it, the beginning and the end included: a busy machine is slow. */
const suiteMsMax = 240_000;

interface List {
  readonly items: readonly GlobalSnapshot[];
}

describe("a GlobalSnapshotSchedule", { timeout: suiteMsMax }, () => {
  let client: KubeClient;
  const known: { snapshotId: string; attempt: number }[] = [];
  let aheadMs = 0;
  let namespace: TestNamespace;
  let replica: Replica;
  let mesh: [FakeAgent, FakeAgent];

  before(async () => {
    client = await clientOf();
    await applyDefinitions();
    namespace = await TestNamespace.open();
    replica = await Replica.open({ namespace, nowMs: () => nowMs() + aheadMs });
    mesh = await replica.mesh("shop/a", "shop/b");
  });

  after(async () => {
    await replica.stop();
    await namespace.close();
    client.close();
  });

  /** The controller's clock goes on to just before a full minute, and that is well ahead of the API server's clock. */
  function untilMinute(): void {
    const minute = 60_000;
    const restMs = minute - ((nowMs() + aheadMs) % minute);
    aheadMs += (restMs < 10_000 ? restMs + minute : restMs) - 300;
  }

  const schedule = (name: string) => namespace.read<GlobalSnapshotSchedule>("globalsnapshotschedules", name);

  async function children(name: string): Promise<readonly GlobalSnapshot[]> {
    const path = `/apis/cutline.dev/v1alpha1/namespaces/${namespace.name}/globalsnapshots`;
    const query = { labelSelector: `cutline.dev/schedule=${name}` };
    return (await client.send<List>({ method: "GET", path, query })).items;
  }

  it("makes a GlobalSnapshot when its time comes, keeps as many as it is told, and shows it", async () => {
    untilMinute();
    await namespace.create("GlobalSnapshotSchedule", "minutely", {
      schedule: "* * * * *",
      successfulHistoryLimit: 1,
      template: { metadata: { labels: { team: "blue" } }, spec: { timeoutSeconds: 20 } },
    });
    await takePartInNext(mesh, known);
    const [first] = await replica.world.until("completion", async () => {
      const found = await children("minutely");
      return found[0]?.status?.phase === "Completed" ? found : undefined;
    });
    assert.equal(first?.metadata.labels?.team, "blue");
    assert.equal(first?.spec.timeoutSeconds, 20);
    const told = await replica.world.until("success", async () => {
      const object = await schedule("minutely");
      return object?.status?.lastSuccessfulAt === undefined ? undefined : object;
    });
    assert.equal(told.status?.activeCount, 0);
    const [header, row] = (await namespace.kubectl("get", "gsnapsched")).trimEnd().split("\n");
    assert.match(header ?? "", /^NAME\s+SCHEDULE\s+TIMEZONE\s+SUSPEND\s+ACTIVE\s+LAST\s+NEXT\s+AGE$/);
    assert.match(row ?? "", /^minutely\s+\* \* \* \* \*\s+Etc\/UTC\s+false\s+0\s/);

    untilMinute();
    // Its timer was set by the old clock; any change brings it back.
    await namespace.kubectl("annotate", "gsnapsched", "minutely", "wake=1");
    await takePartInNext(mesh, known);
    const left = await replica.world.until("only the newer one", async () => {
      const found = await children("minutely");
      return found.length === 1 &&
        found[0]?.status?.phase === "Completed" &&
        found[0].metadata.name !== first?.metadata.name
        ? found
        : undefined;
    });
    assert.equal(left[0]?.metadata.ownerReferences?.[0]?.name, "minutely");
    assert.equal(await replica.world.store.get(first?.status?.snapshotId ?? ""), undefined, "its data went with it");
    await namespace.kubectl("delete", "gsnapsched", "minutely");
  });

  it("says what is wrong with it", async () => {
    await namespace.create("GlobalSnapshotSchedule", "wrong", { schedule: "0 0 * * *", timeZone: "Europe/Nowhere" });
    await namespace.kubectl("wait", "--for=condition=Valid=false", "--timeout=60s", "gsnapsched/wrong");
    const described = await namespace.kubectl("describe", "gsnapsched", "wrong");
    assert.match(described, /Warning\s+InvalidSchedule.*Europe\/Nowhere is not a time zone/);
    const patch = '{"spec":{"timeZone":"Europe/Berlin"}}';
    await namespace.kubectl("patch", "gsnapsched", "wrong", "--type=merge", "-p", patch);
    await namespace.kubectl("wait", "--for=condition=Valid", "--timeout=60s", "gsnapsched/wrong");
  });
});
