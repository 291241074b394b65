import assert from "node:assert/strict";
import { afterEach, before, beforeEach, describe, it } from "node:test";
import { createKubeClient, type KubeClient } from "../../../src/kubernetes/api/client.ts";
import { openCluster } from "../../../src/kubernetes/api/cluster.ts";
import type { GlobalSnapshot } from "../../../src/kubernetes/resources/objects.ts";
import type { FakeAgent } from "../../support/fake-agent.ts";
import { ApiProxy } from "../support/api-proxy.ts";
import { applyDefinitions, kubeconfig, TestNamespace } from "../support/cluster.ts";
import { Replica, takePartInNext } from "../support/replica.ts";

/** For all of it, the beginning and the end included: a busy machine is slow. */
const suiteMsMax = 240_000;

describe("when the way to the API server breaks", { timeout: suiteMsMax }, () => {
  let namespace: TestNamespace;
  let proxy: ApiProxy;
  let client: KubeClient;
  let replica: Replica;
  let mesh: [FakeAgent, FakeAgent];

  before(applyDefinitions);

  beforeEach(async () => {
    namespace = await TestNamespace.open();
    proxy = await ApiProxy.open(await openCluster(kubeconfig()));
    client = createKubeClient({
      cluster: proxy.cluster,
      requestTimeoutMs: 1_000,
      answerBytesMax: 1024 ** 2,
      userAgent: "test",
    });
    replica = await Replica.open({ namespace, client, limits: { watchSilenceMs: 1_500 } });
    mesh = await replica.mesh("shop/a", "shop/b");
  });

  afterEach(async () => {
    await replica.stop();
    proxy.close();
    await namespace.close();
  });

  const phase = (name: string, wanted: string) =>
    replica.world.until(`${name} ${wanted}`, async () => {
      const object = await namespace.read<GlobalSnapshot>("globalsnapshots", name);
      return object?.status?.phase === wanted ? object : undefined;
    });

  it("finds what it did not hear after its connections died in silence", async () => {
    await namespace.create("GlobalSnapshot", "before");
    const known = [await takePartInNext(mesh, [])];
    await phase("before", "Completed");
    proxy.freeze();
    await namespace.create("GlobalSnapshot", "unheard");
    await takePartInNext(mesh, known);
    await phase("unheard", "Completed");
  });

  it("goes on with the snapshot while the API server is away, and says so when it is back", async () => {
    await namespace.create("GlobalSnapshot", "alone");
    const [ref] = await Promise.all([mesh[0].started(), mesh[1].started()]);
    await phase("alone", "Cutting");
    proxy.cut();
    await takePartInNext([mesh[0], mesh[1]], []);
    await replica.world.ended(ref.snapshotId);
    // Long enough that the Lease cannot be renewed: nothing is written any more.
    await replica.world.until("loss of the Lease", () =>
      replica.world.lines.some(({ message }) => message === "not working on the cluster's objects any more")
        ? true
        : undefined,
    );
    const meanwhile = await namespace.read<GlobalSnapshot>("globalsnapshots", "alone");
    assert.notEqual(meanwhile?.status?.phase, "Completed");
    proxy.restore();
    const object = await phase("alone", "Completed");
    assert.equal(object.status?.snapshotId, ref.snapshotId);
    const found = await replica.world.store.list({ limit: 10 });
    assert.equal(found.snapshots.length, 1);
  });

  it("notices that an object has gone while it could not see", async () => {
    await namespace.create("GlobalSnapshot", "vanishing", { deletionPolicy: "Keep" });
    await takePartInNext(mesh, []);
    await phase("vanishing", "Completed");
    proxy.cut();
    await namespace.patch("vanishing", { metadata: { finalizers: null } });
    await namespace.remove("vanishing");
    await namespace.create("GlobalSnapshot", "vanishing");
    proxy.restore();
    await takePartInNext(mesh, [await mesh[0].started()]);
    await phase("vanishing", "Completed");
    assert.equal(
      (await replica.world.store.list({ limit: 10 })).snapshots.length,
      2,
      "the new one has a snapshot of its own",
    );
  });
});
