import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import type { Permission } from "../../../src/http/access.ts";
import { KubernetesAccess, type KubernetesAccessOptions } from "../../../src/kubernetes/access/kubernetes-access.ts";
import { defaultAccessLimits } from "../../../src/kubernetes/access/limits.ts";
import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import { openCluster } from "../../../src/kubernetes/api/cluster.ts";
import { openPodCluster } from "../../../src/kubernetes/api/pod-cluster.ts";
import { callerRules, reviewRules } from "../../../src/kubernetes/permissions.ts";
import { type LogLine, recorder } from "../../support/recorder.ts";
import { openAccount } from "../support/account.ts";
import { ApiProxy } from "../support/api-proxy.ts";
import { clientOf, kubeconfig, TestNamespace, until } from "../support/cluster.ts";
import { audience, createPod, removePod, tokenOf } from "../support/pods.ts";

const rbac = "/apis/rbac.authorization.k8s.io/v1";
const on = "snapshots";
const permissions: Readonly<Record<string, Permission>> = {
  get: { on, verb: "get" },
  list: { on, verb: "list" },
  create: { on, verb: "create" },
  update: { on, verb: "update" },
  delete: { on, verb: "delete" },
  state: { on: "state", verb: "get" },
  metrics: { on: "path", path: "/metrics" },
};

describe("callers of the REST API, as a real API server knows them and RBAC allows them", () => {
  let client: KubeClient;
  let namespace: TestNamespace;
  const lines: LogLine[] = [];
  const names: string[] = [];

  before(async () => {
    client = await clientOf();
    namespace = await TestNamespace.open();
  });
  after(async () => {
    for (const name of names) {
      await client.send({ method: "DELETE", path: `${rbac}/clusterrolebindings/${name}` });
      await client.send({ method: "DELETE", path: `${rbac}/clusterroles/${name}` });
    }
    await namespace.close();
    client.close();
  });

  function access(changes: Partial<KubernetesAccessOptions> = {}): KubernetesAccess {
    return new KubernetesAccess({
      client,
      audience,
      namespace: undefined,
      limits: defaultAccessLimits,
      nowMs: Date.now,
      logger: recorder(lines),
      ...changes,
    });
  }

  /** A service account with these rules in the whole cluster, or in the namespace. */
  async function account(name: string, rules: readonly object[], scope: "cluster" | "namespace"): Promise<string> {
    const path = `/api/v1/namespaces/${namespace.name}/serviceaccounts`;
    await client.send({ method: "POST", path, body: { metadata: { name } } });
    const isCluster = scope === "cluster";
    const metadata = { name: isCluster ? `${namespace.name}-${name}` : name };
    const base = isCluster ? rbac : `${rbac}/namespaces/${namespace.name}`;
    if (isCluster) names.push(metadata.name);
    const [roles, bindings, kind] = isCluster
      ? ["clusterroles", "clusterrolebindings", "ClusterRole"]
      : ["roles", "rolebindings", "Role"];
    await client.send({ method: "POST", path: `${base}/${roles}`, body: { metadata, rules } });
    const subjects = [{ kind: "ServiceAccount", name, namespace: namespace.name }];
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind, name: metadata.name };
    await client.send({ method: "POST", path: `${base}/${bindings}`, body: { metadata, subjects, roleRef } });
    return await tokenOf(client, namespace.name, { account: name });
  }

  async function allowed(token: string, one: KubernetesAccess): Promise<string[]> {
    const all: string[] = [];
    for (const [name, permission] of Object.entries(permissions)) {
      const { outcome } = await one.check(token, permission);
      assert.ok(outcome === "allowed" || outcome === "forbidden", `${name}: ${outcome}`);
      if (outcome === "allowed") all.push(name);
    }
    return all;
  }

  const { view, operate, admin } = callerRules;
  for (const [role, rules, expected] of [
    ["view", view, ["get", "list", "metrics"]],
    ["operate", [...view, ...operate], ["get", "list", "create", "update", "state", "metrics"]],
    ["admin", [...view, ...operate, ...admin], Object.keys(permissions)],
  ] as const) {
    it(`the rules for ${role} allow ${expected.join(", ")}`, async () => {
      const token = await account(role, rules, "cluster");
      // RBAC takes a moment to know a new binding.
      await until("the binding", async () => (await allowed(token, access())).length === expected.length);
      assert.deepEqual(await allowed(token, access()), expected);
    });
  }

  it("nobody may anything without a role, and is told what is missing", async () => {
    const outcome = await access().check(await tokenOf(client, namespace.name), { on: "state", verb: "get" });
    assert.ok(outcome.outcome === "forbidden");
    assert.equal(outcome.caller, `system:serviceaccount:${namespace.name}:default`);
    assert.match(
      outcome.message,
      /may not get globalsnapshots\.cutline\.dev\/state in the whole cluster; ask for a role/,
    );
  });

  it("a role in one namespace counts where that namespace is asked, and nowhere else", async () => {
    const token = await account("local", view.slice(0, 1), "namespace");
    const here = () => access({ namespace: namespace.name });
    await until("the binding", async () => (await here().check(token, { on, verb: "list" })).outcome === "allowed");
    assert.equal((await access().check(token, { on, verb: "list" })).outcome, "forbidden");
    assert.equal((await access({ namespace: "default" }).check(token, { on, verb: "list" })).outcome, "forbidden");
  });

  it("tokens for other audiences, and what is none, are refused", async () => {
    const one = access();
    for (const token of [await tokenOf(client, namespace.name, { audiences: ["vault"] }), "nonsense", undefined]) {
      const outcome = await one.check(token, { on, verb: "list" });
      assert.equal(outcome.outcome, "unauthenticated");
      if (token !== undefined) assert.ok(!JSON.stringify(outcome).includes(token));
    }
  });

  it("a yes is remembered for its time only: whose pod is gone is refused then", async () => {
    let aheadMs = 0;
    const one = access({ nowMs: () => Date.now() + aheadMs });
    const pod = { name: "caller", ...(await createPod(client, namespace.name, "caller")) };
    const token = await tokenOf(client, namespace.name, { pod });
    const ask = async () => (await one.check(token, { on, verb: "list" })).outcome;
    assert.equal(await ask(), "forbidden");
    await removePod(client, namespace.name, "caller");
    assert.equal(await ask(), "forbidden", "still known");
    // The API server remembers too, for 10 s.
    await until("the refusal", async () => {
      aheadMs += defaultAccessLimits.cacheMs + 1;
      return (await ask()) === "unauthenticated";
    });
  });

  it("while the API server is away: what is remembered holds, and nobody else gets through", async () => {
    const proxy = await ApiProxy.open(await openCluster(kubeconfig()));
    const through = await clientOf(proxy.cluster);
    const one = access({ client: through });
    const known = await tokenOf(client, namespace.name, { account: "view" });
    assert.equal((await one.check(known, { on, verb: "list" })).outcome, "allowed");
    proxy.cut();
    assert.equal((await one.check(known, { on, verb: "list" })).outcome, "allowed");
    for (const [token, permission] of [
      [known, { on: "state", verb: "get" }],
      [await tokenOf(client, namespace.name, { account: "admin" }), { on, verb: "list" }],
    ] as const) {
      const outcome = await one.check(token, permission);
      assert.ok(outcome.outcome === "unknown");
      assert.equal(outcome.code, "KubernetesUnavailable");
    }
    proxy.close();
  });

  it("needs no more of the API than to ask", async () => {
    const token = await tokenOf(client, namespace.name);
    const name = "reviewer";
    await account(name, reviewRules, "cluster");
    const { folder, server } = await openAccount(client, namespace, []);
    await writeFile(`${folder}/token`, await tokenOf(client, namespace.name, { account: name, audiences: [] }));
    const restricted = await clientOf(await openPodCluster(server, folder, Date.now));
    const one = () => access({ client: restricted });
    await until("the binding", async () => (await one().check(token, { on, verb: "get" })).outcome === "forbidden");
    await rm(folder, { recursive: true });
    restricted.close();
  });

  it("no line of the log has a token", () => {
    assert.doesNotMatch(JSON.stringify(lines), /eyJ/);
  });
});
