import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import type { GlobalSnapshot } from "../../../src/kubernetes/resources/objects.ts";
import type { FakeAgent } from "../../support/fake-agent.ts";
import { applyDefinitions, clientOf, kubectl, TestNamespace } from "../support/cluster.ts";
import { Replica, takePartInNext } from "../support/replica.ts";

/** For all of it, the beginning and the end included: a busy machine is slow. */
const suiteMsMax = 240_000;

describe("a GlobalSnapshot", { timeout: suiteMsMax }, () => {
  let client: KubeClient;
  const known: { snapshotId: string; attempt: number }[] = [];
  let namespace: TestNamespace;
  let replica: Replica;
  let mesh: [FakeAgent, FakeAgent];

  before(async () => {
    client = await clientOf();
    await applyDefinitions();
    namespace = await TestNamespace.open();
    replica = await Replica.open({ namespace });
    mesh = await replica.mesh("shop/a", "shop/b");
  });

  after(async () => {
    await replica.stop();
    await namespace.close();
    client.close();
  });

  const read = (name: string) => namespace.read<GlobalSnapshot>("globalsnapshots", name);

  async function until(
    what: string,
    name: string,
    holds: (object: GlobalSnapshot) => boolean,
  ): Promise<GlobalSnapshot> {
    return await replica.world.until(`${name}: ${what}`, async () => {
      const object = await read(name);
      return object !== undefined && holds(object) ? object : undefined;
    });
  }

  async function complete(name: string, spec: object = {}): Promise<GlobalSnapshot> {
    await namespace.create("GlobalSnapshot", name, spec);
    await takePartInNext(mesh, known);
    return await until("Completed", name, ({ status }) => status?.phase === "Completed");
  }

  const stored = (id: string | undefined) => replica.world.store.get(id ?? "");

  it("is applied, waited for, shown and described: all that a user does", async () => {
    const file = {
      apiVersion: "cutline.dev/v1alpha1",
      kind: "GlobalSnapshot",
      metadata: { name: "before-upgrade" },
      spec: { labels: { team: "blue" } },
    };
    await kubectl(["-n", namespace.name, "apply", "-f", "-"], JSON.stringify(file));
    const ref = await takePartInNext(mesh, known);
    await namespace.kubectl("wait", "--for=condition=Completed", "--timeout=60s", "gsnap/before-upgrade");
    const [header, row] = (await namespace.kubectl("get", "gsnap", "before-upgrade")).trimEnd().split("\n");
    assert.deepEqual(header?.split(/\s+/), ["NAME", "PHASE", "PROCESSES", "CHANNELS", "INFLIGHT", "EXACT", "AGE"]);
    assert.match(row ?? "", /^before-upgrade\s+Completed\s+2\/2\s+1\/1\s+1\s+true\s+\d+s$/);
    const described = await namespace.kubectl("describe", "gsnap", "before-upgrade");
    assert.match(described, /Normal\s+Started\s/);
    assert.match(described, /Normal\s+Completed\s.*2\/2 processes, 1\/1 channels, 1 messages in flight, exact/);
    assert.equal((await stored(ref.snapshotId))?.labels.team, "blue");
  });

  it("shows how far it is while it runs", async () => {
    await namespace.create("GlobalSnapshot", "slow");
    const [ref] = await Promise.all([mesh[0].started(known), mesh[1].started(known)]);
    known.push(ref);
    mesh[0].cut(ref);
    const object = await until("one has cut", "slow", ({ status }) => status?.processes === "1/2");
    assert.equal(object.status?.phase, "Cutting");
    await namespace.patch("slow", { spec: { abort: true } });
    const ended = await until("Aborted", "slow", ({ status }) => status?.phase === "Aborted");
    assert.equal(ended.status?.conditions?.find(({ type }) => type === "Failed")?.status, "True");
  });

  it("says why it failed, and which pod is to blame", async () => {
    const lost = replica.world.agent("shop/lost");
    await lost.attach();
    await mesh[0].directoryOf("shop/a", "shop/b", "shop/lost");
    await namespace.create("GlobalSnapshot", "unlucky", { attempts: 1, timeoutSeconds: 20 });
    const ref = await lost.started();
    known.push(ref);
    lost.close();
    const { status } = await until("Failed", "unlucky", (object) => object.status?.phase === "Failed");
    assert.equal(status?.reason, "ProcessLost");
    assert.equal(status?.problems?.[0]?.pod, "shop/lost");
    const described = await namespace.kubectl("describe", "gsnap", "unlucky");
    assert.match(described, /Pod:\s+shop\/lost/);
    assert.match(described, /Warning\s+ProcessLost\s.*shop\/lost/);
    await namespace.kubectl("wait", "--for=condition=Failed", "--timeout=60s", "gsnap/unlucky");
    await mesh[0].directoryOf("shop/a", "shop/b");
  });

  it("takes its data along when it is deleted", async () => {
    const { status } = await complete("short-lived");
    assert.notEqual(await stored(status?.snapshotId), undefined);
    await namespace.kubectl("delete", "gsnap", "short-lived", "--timeout=60s");
    assert.equal(await read("short-lived"), undefined);
    assert.equal(await stored(status?.snapshotId), undefined);
  });

  it("is aborted first when it is deleted while it runs", async () => {
    await namespace.create("GlobalSnapshot", "deleted-early");
    const ref = await mesh[0].started(known);
    known.push(ref);
    await namespace.remove("deleted-early");
    assert.equal(await stored(ref.snapshotId), undefined);
    assert.equal((await mesh[0].endOf(ref.snapshotId)).phase, "Aborted");
  });

  it("leaves its data where it is when its policy says Keep", async () => {
    const { status } = await complete("kept", { deletionPolicy: "Keep" });
    await namespace.remove("kept");
    assert.equal((await stored(status?.snapshotId))?.phase, "Completed");
  });

  it("is marked when its data expires, and removed when the policy says so", async () => {
    const marked = await complete("marked", { ttlSecondsAfterFinished: 1 });
    const expired = await until("expired", "marked", ({ status }) =>
      Boolean(status?.conditions?.some(({ type, reason }) => type === "DataAvailable" && reason === "Expired")),
    );
    assert.equal(expired.status?.phase, "Completed");
    assert.equal(await stored(marked.status?.snapshotId), undefined);
    await complete("removed", { ttlSecondsAfterFinished: 0, expiryPolicy: "Delete" }).catch(() => undefined); // It may be gone before it is seen.
    await replica.world.until("removed", async () => ((await read("removed")) === undefined ? true : undefined));
  });

  it("is marked when somebody else removes its data", async () => {
    const { status } = await complete("looted");
    await replica.world.driver.remove(status?.snapshotId ?? "");
    await until("marked", "looted", (object) =>
      Boolean(object.status?.conditions?.some(({ type, reason }) => type === "DataAvailable" && reason === "Removed")),
    );
  });

  it("survives that others write to it all the time", async () => {
    await namespace.create("GlobalSnapshot", "busy");
    const path = `/apis/cutline.dev/v1alpha1/namespaces/${namespace.name}/globalsnapshots/busy`;
    let writing = true;
    const writer = (async () => {
      for (let at = 0; writing; at += 1) {
        await client.send({ method: "PATCH", path, body: { metadata: { annotations: { at: String(at) } } } });
      }
    })();
    await takePartInNext(mesh, known);
    const object = await until("Completed", "busy", ({ status }) => status?.phase === "Completed");
    writing = false;
    await writer;
    const found = await replica.world.store.list({ labels: { "cutline.dev/uid": object.metadata.uid }, limit: 10 });
    assert.equal(found.snapshots.length, 1, "it was started once");
  });
});

it("a GlobalSnapshot waits for processes, and fails with the coordinator's reason at its starting deadline", async (t) => {
  await applyDefinitions();
  const namespace = await TestNamespace.open();
  const replica = await Replica.open({ namespace });
  t.after(async () => {
    await replica.stop();
    await namespace.close();
  });
  const phase = (name: string, wanted: string) =>
    replica.world.until(`${name} ${wanted}`, async () => {
      const object = await namespace.read<GlobalSnapshot>("globalsnapshots", name);
      return object?.status?.phase === wanted ? object : undefined;
    });
  await namespace.create("GlobalSnapshot", "hopeless", { startingDeadlineSeconds: 2 });
  await namespace.create("GlobalSnapshot", "patient");
  assert.equal((await phase("patient", "Pending")).status?.reason, "NoProcesses");
  assert.match((await phase("hopeless", "Failed")).status?.message ?? "", /not started within 2 s/);
  const mesh = await replica.mesh("shop/a", "shop/b");
  await takePartInNext(mesh, []);
  await phase("patient", "Completed");
});
