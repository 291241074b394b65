import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import { openCluster } from "../../../src/kubernetes/api/cluster.ts";
import { openPodCluster } from "../../../src/kubernetes/api/pod-cluster.ts";
import { defaultIdentityLimits } from "../../../src/kubernetes/identity/limits.ts";
import { identityRules } from "../../../src/kubernetes/permissions.ts";
import { openAccount } from "../support/account.ts";
import { ApiProxy } from "../support/api-proxy.ts";
import { clientOf, kubeconfig, TestNamespace } from "../support/cluster.ts";
import { Clock, dayMs, hourMs, keeperOf } from "../support/keepers.ts";
import { createSecret, readSecret } from "../support/pods.ts";

describe("the Secret of an authority, at a real API server", () => {
  let client: KubeClient;
  let namespace: TestNamespace;
  let made = 0;

  before(async () => {
    client = await clientOf();
    namespace = await TestNamespace.open();
  });
  after(async () => {
    await namespace.close();
    client.close();
  });

  async function newSecret(): Promise<string> {
    made += 1;
    const name = `authority-${made}`;
    await createSecret(client, namespace.name, name);
    return name;
  }

  it("is filled when it is empty, by one of several replicas; the others find it", async () => {
    const name = await newSecret();
    const replicas = Array.from({ length: 5 }, () => keeperOf(client, namespace.name, { name }));
    await Promise.all(replicas.map(({ keeper }) => keeper.open()));
    const bundles = new Set(replicas.map(({ keeper }) => keeper.bundle));
    assert.equal(bundles.size, 1);
    const keys = new Set(replicas.map(({ keeper }) => keeper.issuing().issuer.key));
    assert.equal(keys.size, 1);
    const { data, metadata } = await readSecret(client, namespace.name, name);
    assert.equal(Buffer.from(data?.["ca.crt"] ?? "", "base64").toString(), [...bundles][0]);
    assert.deepEqual(metadata.labels, { "app.kubernetes.io/managed-by": "Helm" }, "it stays the chart's");
  });

  it("is written only when there is something to do", async () => {
    const name = await newSecret();
    const { keeper } = keeperOf(client, namespace.name, { name });
    await keeper.open();
    const { metadata } = await readSecret(client, namespace.name, name);
    await keeper.look();
    await keeper.look();
    const { metadata: again } = await readSecret(client, namespace.name, name);
    assert.equal(again.resourceVersion, metadata.resourceVersion);
  });

  it("takes two replicas through a whole rotation, one step each, and in step", async () => {
    const name = await newSecret();
    const clock = new Clock();
    const [a, b] = [1, 2].map(() => keeperOf(client, namespace.name, { name, nowMs: clock.nowMs }).keeper);
    assert.ok(a !== undefined && b !== undefined);
    await a.open();
    await b.open();
    const first = a.issuing().issuer.certificate;

    clock.forward(250 * dayMs);
    await Promise.all([a.look(), b.look()]);
    assert.equal(a.bundle, b.bundle);
    assert.equal(a.bundle.match(/BEGIN/g)?.length, 2);
    assert.equal(b.issuing().issuer.certificate, first);

    clock.forward(7 * dayMs);
    await Promise.all([a.look(), b.look()]);
    const second = a.issuing().issuer.certificate;
    assert.notEqual(second, first);
    assert.equal(b.issuing().issuer.certificate, second);
    assert.ok(b.bundle.includes(first), "what the first has issued is still believed");
    const { data } = await readSecret(client, namespace.name, name);
    const state = Buffer.from(data?.state ?? "", "base64").toString();
    assert.equal(state.match(/PRIVATE KEY-----\\n"/g)?.length, 1, "the first one's key is gone");

    clock.forward(dayMs + hourMs);
    await Promise.all([a.look(), b.look()]);
    assert.equal(a.bundle, second);
    assert.equal(b.bundle, second);
  });

  it("that cannot be read any more issues nothing after a while, and its bundle stays", async () => {
    const name = await newSecret();
    const proxy = await ApiProxy.open(await openCluster(kubeconfig()));
    const clock = new Clock();
    const through = await clientOf(proxy.cluster);
    const { keeper } = keeperOf(through, namespace.name, { name, nowMs: clock.nowMs });
    await keeper.open();
    proxy.cut();
    await assert.rejects(keeper.look(), { code: "KubeUnavailable" });
    assert.ok(keeper.issuing().issuer.key.includes("PRIVATE KEY"));
    clock.forward(defaultIdentityLimits.staleMsMax + 1);
    assert.throws(() => keeper.issuing(), { code: "AuthorityStale" });
    assert.match(keeper.bundle, /BEGIN CERTIFICATE/);
    proxy.restore();
    await keeper.look();
    keeper.issuing();
    proxy.close();
  });

  it("that is missing is not created: it says what to do", async () => {
    const limits = { ...defaultIdentityLimits, startMsMax: 100, backOffMsMin: 20 };
    const { keeper, lines } = keeperOf(client, namespace.name, { name: "nowhere", limits });
    await assert.rejects(keeper.open(), {
      code: "SecretMissing",
      message: new RegExp(`there is no Secret ${namespace.name}/nowhere; the chart makes it, or: kubectl -n`),
    });
    assert.equal(lines.filter(({ level }) => level === "error").length, 1, "said once");
  });

  for (const [what, state, message] of [
    ["is no JSON", "{", /its data is not JSON/],
    ["is of another version", '{"version":2}', /of a version that this coordinator does not know/],
    ["has no authority", '{"version":1,"authorities":[]}', /has not exactly one authority that issues/],
  ] as const) {
    it(`that ${what} is left as it is: nobody's authority is overwritten`, async () => {
      const name = await newSecret();
      const path = `/api/v1/namespaces/${namespace.name}/secrets/${name}`;
      const data = { state: Buffer.from(state).toString("base64") };
      await client.send({ method: "PATCH", path, body: { data } });
      await assert.rejects(keeperOf(client, namespace.name, { name }).keeper.open(), {
        code: "SecretInvalid",
        message,
      });
      assert.deepEqual((await readSecret(client, namespace.name, name)).data, data);
    });
  }

  it("of another mesh is not used", async () => {
    const name = await newSecret();
    await keeperOf(client, namespace.name, { name }).keeper.open();
    const other = keeperOf(client, namespace.name, { name, uri: "spiffe://other" });
    await assert.rejects(other.keeper.open(), {
      code: "SecretInvalid",
      message: /has the authority spiffe:\/\/cutline/,
    });
  });

  it("needs no more than the rules say: this Secret, and no other", async () => {
    await createSecret(client, namespace.name, "cutline-authority");
    const other = await newSecret();
    const { folder, server } = await openAccount(client, namespace, identityRules);
    const restricted = await clientOf(await openPodCluster(server, folder, Date.now));
    await keeperOf(restricted, namespace.name).keeper.open();
    await assert.rejects(keeperOf(restricted, namespace.name, { name: other }).keeper.look(), {
      code: "KubeForbidden",
    });
    await rm(folder, { recursive: true });
    restricted.close();
  });
});
