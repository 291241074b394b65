import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import type { GlobalSnapshot } from "../../../src/kubernetes/resources/objects.ts";
import { FakeAgent } from "../../support/fake-agent.ts";
import { Program, until } from "../../support/program.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";
import { takePart } from "../../support/world.ts";
import { type Account, openAccount } from "../support/account.ts";
import { applyDefinitions, clientOf, TestNamespace } from "../support/cluster.ts";

/** For all of it, the beginning and the end included: a busy machine is slow. */
const suiteMsMax = 240_000;

interface Lease {
  readonly metadata: { readonly annotations?: Record<string, string> };
  readonly spec: { readonly holderIdentity: string; readonly leaseTransitions: number };
}

describe("two replicas, as programs", { timeout: suiteMsMax }, () => {
  let client: KubeClient;
  let redis: RedisServer;
  let namespace: TestNamespace;
  let account: Account;
  let programs: Program[] = [];
  const agents: FakeAgent[] = [];

  before(async () => {
    client = await clientOf();
    await applyDefinitions();
    namespace = await TestNamespace.open();
    account = await openAccount(client, namespace);
    redis = await startRedis();
    const settings = {
      CUTLINE_KUBERNETES: "true",
      CUTLINE_KUBERNETES_SERVER: account.server,
      CUTLINE_KUBERNETES_SERVICE_ACCOUNT_FOLDER: account.folder,
      CUTLINE_KUBERNETES_NAMESPACES: namespace.name,
      CUTLINE_SNAPSHOT_TIMEOUT_MS: "60000",
    };
    programs = await Promise.all([Program.start(redis.url, settings), Program.start(redis.url, settings)]);
  });

  after(async () => {
    for (const agent of agents) agent.close();
    for (const program of programs) await program.kill();
    await redis.stop();
    await rm(account.folder, { recursive: true });
    await namespace.close();
    client.close();
  });

  const leading = () =>
    until("a leader", async () => {
      for (const program of programs) {
        if (program.child.exitCode === null && program.child.signalCode === null && (await program.isReady()))
          return program;
      }
      return undefined;
    });

  const lease = () =>
    until("the Lease", async () => {
      const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace.name}/leases/cutline-coordinator`;
      return await client.send<Lease>({ method: "GET", path }).catch(() => undefined); // Not there yet.
    });

  const read = () => namespace.read<GlobalSnapshot>("globalsnapshots", "survivor");

  async function mesh(program: Program, incarnations: readonly (string | undefined)[] = []) {
    const found = ["shop/a", "shop/b"].map((id, at) => new FakeAgent(program.grpcAddress, id, incarnations[at]));
    agents.push(...found);
    for (const agent of found) await agent.attach();
    const [a, b] = found;
    assert.ok(a && b);
    await a.directoryOf("shop/a", "shop/b");
    return [a, b] as const;
  }

  it("the leader is killed in mid-snapshot: the other takes the Lease with a higher term, and completes it", async () => {
    const first = await leading();
    const [a, b] = await mesh(first);
    await namespace.create("GlobalSnapshot", "survivor", { timeoutSeconds: 60 });
    const ref = await a.started();
    const begun = await until("the status", async () => {
      const object = await read();
      return object?.status?.snapshotId === ref.snapshotId ? object : undefined;
    });
    const held = await lease();
    assert.equal(held.metadata.annotations?.["cutline.dev/term"], String(begun.status?.term));

    await first.kill();
    a.close();
    b.close();
    const second = await leading();
    assert.notEqual(second, first);
    const [a2, b2] = await mesh(second, [a.incarnation, b.incarnation]);
    const [next] = await Promise.all([a2.started([ref]), b2.started([ref])]);
    assert.equal(next.snapshotId, ref.snapshotId);
    assert.equal(next.attempt, 2);
    await takePart(a2, b2, next);
    await namespace.kubectl("wait", "--for=condition=Completed", "--timeout=60s", "gsnap/survivor");

    const ended = await read();
    assert.equal(ended?.status?.snapshotId, ref.snapshotId);
    assert.equal(ended?.status?.attempt, 2);
    assert.ok((ended?.status?.term ?? 0) > (begun.status?.term ?? 0));
    const passed = await lease();
    assert.notEqual(passed.spec.holderIdentity, held.spec.holderIdentity);
    assert.equal(passed.spec.leaseTransitions, held.spec.leaseTransitions + 1);
    assert.match(await namespace.kubectl("get", "events"), /AttemptFailed/);
  });

  it("the last one lets go of the Lease when it is stopped", async () => {
    const program = await leading();
    await program.kill("SIGTERM");
    assert.equal((await lease()).spec.holderIdentity, "");
  });
});
