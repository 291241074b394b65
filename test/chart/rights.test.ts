import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { discoveryRules, identityRules, leaseRules, reviewRules, watchedRules } from "@cutline/coordinator";
import { type Rendered, render, type Values } from "./support/helm.ts";

interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs: readonly string[];
}

const rulesOf = (rendered: Rendered, kind: string, name: string): readonly Rule[] => rendered.get(kind, name).rules;
const subjects = [{ kind: "ServiceAccount", name: "cutline-coordinator", namespace: "system" }];

/** Every right of the rules, one a text. */
function rights(rules: readonly Rule[]): Set<string> {
  const all = rules.flatMap(({ apiGroups = [], resources = [], resourceNames = ["*"], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        resourceNames.flatMap((name) => verbs.map((verb) => `${verb} ${resource}.${group} ${name}`)),
      ),
    ),
  );
  return new Set(all);
}

describe("rights", () => {
  it("are given in all namespaces by a ClusterRole, from the coordinator's own rules", async () => {
    const rendered = await render();
    const cluster = rulesOf(rendered, "ClusterRole", "cutline-system");
    const webhook: Rule = {
      apiGroups: ["admissionregistration.k8s.io"],
      resources: ["mutatingwebhookconfigurations"],
      resourceNames: ["cutline-system"],
      verbs: ["get", "patch"],
    };
    assert.deepEqual(rights(cluster), rights([...reviewRules, webhook, ...watchedRules, ...discoveryRules]));
    assert.deepEqual(rendered.get("ClusterRoleBinding", "cutline-system").subjects, subjects);
    assert.deepEqual(rendered.names("Role"), ["cutline-coordinator"]);
  });

  it("are given by a Role in each watched namespace, and then nowhere else", async () => {
    const rendered = await render({ watchNamespaces: ["shop", "bank"] });
    const roles = rendered.manifests.filter(({ kind, metadata }) => kind === "Role" && metadata.namespace !== "system");
    assert.deepEqual(
      roles.map(({ metadata }) => metadata.namespace),
      ["shop", "bank"],
    );
    for (const { rules } of roles) assert.deepEqual(rights(rules), rights([...watchedRules, ...discoveryRules]));
    const cluster = [...rights(rulesOf(rendered, "ClusterRole", "cutline-system"))];
    assert.ok(cluster.every((right) => /reviews\.|mutatingwebhookconfigurations\..* cutline-system$/.test(right)));
    assert.equal(rendered.environment.get("CUTLINE_KUBERNETES_NAMESPACES"), "shop,bank");
    assert.equal(rendered.environment.get("CUTLINE_IDENTITY_NAMESPACES"), "shop,bank");
  });

  it("in the own namespace are about the chart's own objects, by name; nothing is made", async () => {
    const own = rulesOf(await render(), "Role", "cutline-coordinator");
    assert.deepEqual(
      [...rights(own)].sort(),
      [
        "get leases.coordination.k8s.io cutline-coordinator",
        "get secrets. cutline-authority",
        "get secrets. cutline-webhook",
        "update leases.coordination.k8s.io cutline-coordinator",
        "update secrets. cutline-authority",
        "update secrets. cutline-webhook",
      ],
      "and of the coordinator's rules, all but making a Lease",
    );
    const declared = [...rights(leaseRules), ...rights(identityRules)].map((right) => right.split(" ", 2).join(" "));
    const given = new Set([...rights(own)].map((right) => right.split(" ", 2).join(" ")));
    assert.deepEqual(
      new Set(declared.filter((right) => !given.has(right))),
      new Set(["create leases.coordination.k8s.io"]),
    );
  });

  it("are only those of what is on", async () => {
    const all = { identity: { enabled: false }, injection: { enabled: false }, discovery: { enabled: false } };
    const rendered = await render({ ...all, access: { mode: "open" }, watchNamespaces: ["shop"] });
    assert.equal(rendered.find("ClusterRole", "cutline-system"), undefined);
    assert.deepEqual(rights(rulesOf(rendered, "Role", "cutline-coordinator-watched")), rights(watchedRules));
    assert.deepEqual(rendered.names("Secret"), ["cutline-redis"]);
    for (const name of ["CUTLINE_IDENTITY", "CUTLINE_WEBHOOK", "CUTLINE_DISCOVERY"]) {
      assert.equal(rendered.environment.has(name), false, name);
    }
  });

  it("are somebody else's to give", async () => {
    const rendered = await render({ rbac: { create: false }, serviceAccount: { create: false, name: "mine" } });
    for (const kind of ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount"]) {
      assert.deepEqual(rendered.names(kind), [], kind);
    }
    assert.equal(rendered.coordinator.serviceAccountName, "mine");
    await assert.rejects(render({ serviceAccount: { create: false } }), /say which ServiceAccount/);
  });

  it("come with a ServiceAccount of the name that is said", async () => {
    const rendered = await render({ serviceAccount: { name: "cut", annotations: { role: "x" } } });
    assert.deepEqual(rendered.get("ServiceAccount", "cut").metadata.annotations, { role: "x" });
    assert.equal(rendered.get("RoleBinding", "cutline-coordinator").subjects[0].name, "cut");
  });
});

describe("callers", () => {
  it("have roles of which each has what stands before it", async () => {
    const rendered = await render();
    const [view, operate, admin] = ["view", "operate", "admin"].map((name) =>
      rights(rulesOf(rendered, "ClusterRole", `cutline-system-${name}`)),
    );
    assert.ok(view?.has("get globalsnapshots.cutline.dev *"));
    assert.ok(!view?.has("get globalsnapshots/state.cutline.dev *"));
    assert.ok(operate?.has("get globalsnapshots/state.cutline.dev *"));
    for (const right of view ?? []) assert.ok(operate?.has(right), right);
    assert.ok(!operate?.has("delete globalsnapshots.cutline.dev *"));
    for (const right of operate ?? []) assert.ok(admin?.has(right), right);
    assert.ok(admin?.has("delete globalsnapshots.cutline.dev *"));
  });

  it("show tokens of the cluster, tokens of a Secret, or nothing", async () => {
    const of = async (access: Values) => await render({ access });
    const cluster = await of({ audience: "cut", namespace: "shop" });
    assert.equal(cluster.environment.get("CUTLINE_ACCESS"), "kubernetes");
    assert.equal(cluster.environment.get("CUTLINE_ACCESS_AUDIENCE"), "cut");
    assert.equal(cluster.environment.get("CUTLINE_ACCESS_NAMESPACE"), "shop");
    const tokens = await of({ mode: "tokens", tokensSecret: "people", tokensKey: "list" });
    assert.equal(tokens.environment.get("CUTLINE_ACCESS_TOKENS_FILE"), "/var/run/cutline/access/list");
    assert.deepEqual(tokens.coordinator.volumes.at(-1), { name: "access", secret: { secretName: "people" } });
    assert.equal(tokens.find("ClusterRole", "cutline-system-view"), undefined);
    await assert.rejects(of({ mode: "tokens" }), /access\.tokensSecret/);
    const open = await of({ mode: "open" });
    assert.equal(open.environment.get("CUTLINE_ACCESS"), "open");
    assert.equal(open.environment.has("CUTLINE_ACCESS_AUDIENCE"), false);
  });

  it("of kubectl have the objects of their namespaces by the cluster's own roles", async () => {
    const rendered = await render();
    const aggregated = (name: string) =>
      Object.keys(rendered.get("ClusterRole", `cutline-system-objects-${name}`).metadata.labels ?? {})
        .filter((label) => label.includes("aggregate-to"))
        .map((label) => label.split("-to-")[1]);
    assert.deepEqual(aggregated("view"), ["view", "edit", "admin"]);
    assert.deepEqual(aggregated("edit"), ["edit", "admin"]);
    const off = await render({ rbac: { aggregate: false } });
    assert.ok(off.names("ClusterRole").every((name) => !name.includes("objects")));
  });
});
