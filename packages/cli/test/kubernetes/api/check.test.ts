import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Loose } from "../../support/fixtures.ts";
import { PluginWorld } from "../support/plugin.ts";

const suiteMsMax = 240_000;

describe("kubectl cutline check, against a real API server", { timeout: suiteMsMax }, () => {
  let world: PluginWorld;

  before(async () => {
    world = await PluginWorld.open();
  });
  after(() => world.close());

  /** `Code object: message` of every finding. */
  const check = async (...args: string[]): Promise<string[]> => {
    const place = ["--coordinator-namespace", world.namespace];
    const { stdout, stderr } = await world.inProcess(["check", ...place, "-o", "json", ...args]);
    assert.ok(stdout.startsWith("{"), stderr);
    return JSON.parse(stdout).findings.map(({ code, object, message }: Loose) => `${code} ${object}: ${message}`);
  };
  const has = (findings: readonly string[], pattern: RegExp) =>
    assert.ok(
      findings.some((finding) => pattern.test(finding)),
      `${pattern} is not in\n${findings.join("\n")}`,
    );

  const namespaced = (name: string, more: object = {}) => ({ name, namespace: world.namespace, ...more });
  const container = { name: "application", image: "none", ports: [{ containerPort: 9000 }] };

  it("names what is missing, pod by pod, and takes another program's word for nothing", async () => {
    const inject = { "cutline.dev/inject": "true", app: "bank" };
    const template = {
      metadata: { labels: inject, annotations: { "cutline.dev/traffic": "redirect" } },
      spec: { containers: [container] },
    };
    await world.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: namespaced("naked", { labels: inject }),
      spec: { containers: [container] },
    });
    await world.apply({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: namespaced("redirected"),
      spec: { replicas: 0, selector: { matchLabels: { app: "bank" } }, template },
    });
    await world.kubectl(["label", "namespace", world.namespace, "pod-security.kubernetes.io/enforce=restricted"]);
    const findings = await check();
    has(findings, new RegExp(`^AgentMissing Pod ${world.namespace}/naked: it asks for an agent`));
    has(
      findings,
      new RegExp(`^RedirectForbidden Deployment ${world.namespace}/redirected: .* Pod Security restricted`),
    );
    has(findings, new RegExp(`^CoordinatorMissing coordinator: no coordinator was found in ${world.namespace}`));
    assert.ok(
      !findings.some((finding) => finding.startsWith("Definition")),
      "the definitions are those of this version",
    );
  });

  it("looks at the coordinator: pods, Lease, its own rights, and the way to it", async () => {
    const labels = { "app.kubernetes.io/part-of": "cutline", "app.kubernetes.io/component": "coordinator" };
    await world.kubectl(["-n", world.namespace, "create", "serviceaccount", "coordinator"]);
    await world.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: namespaced("cutline-coordinator", { labels }),
      spec: { selector: labels, ports: [{ name: "http", port: 7400 }] },
    });
    const env = [
      { name: "CUTLINE_KUBERNETES", value: "true" },
      { name: "CUTLINE_KUBERNETES_NAMESPACES", value: world.namespace },
      { name: "CUTLINE_DISCOVERY", value: "true" },
    ];
    await world.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: namespaced("coordinator-a", { labels }),
      spec: { serviceAccountName: "coordinator", containers: [{ name: "coordinator", image: "cutline:9.9.9", env }] },
    });
    const findings = await check();
    has(findings, /^CoordinatorNotReady Service .*\/cutline-coordinator: none of its 1 pods is ready/);
    has(findings, /^NoLeader Lease .*\/cutline-coordinator: it does not exist/);
    has(findings, /^CoordinatorUnreachable .*none of the 1 pods/);
    has(findings, /^ProgramVersionOther .*version 9\.9\.9/);
    has(findings, new RegExp(`^CoordinatorRightMissing .*: may not list services in ${world.namespace}$`));
    has(
      findings,
      new RegExp(`^CoordinatorRightMissing .*: may not update leases.coordination.k8s.io in ${world.namespace}$`),
    );
    await world.kubectl([
      "-n",
      world.namespace,
      "create",
      "role",
      "lister",
      "--verb=list,watch",
      "--resource=services",
    ]);
    const subject = `--serviceaccount=${world.namespace}:coordinator`;
    await world.kubectl(["-n", world.namespace, "create", "rolebinding", "lister", "--role=lister", subject]);
    const then = await check();
    assert.ok(!then.some((finding) => finding.includes("may not list services")), then.join("\n"));
    has(then, /may not list endpointslices.discovery.k8s.io/);
  });

  it("finds a webhook that has no authority, and one that cannot be called", async () => {
    const webhook = (caBundle?: string) => ({
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingWebhookConfiguration",
      metadata: { name: `cutline-${world.namespace}` },
      webhooks: [
        {
          name: "inject.cutline.dev",
          admissionReviewVersions: ["v1"],
          sideEffects: "None",
          failurePolicy: "Fail",
          clientConfig: {
            service: { namespace: world.namespace, name: "cutline-webhook", path: "/inject", port: 443 },
            ...(caBundle !== undefined && { caBundle }),
          },
          rules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] }],
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "elsewhere", trial: "yes" } },
          objectSelector: { matchLabels: { "cutline.dev/inject": "true" } },
        },
      ],
    });
    await world.apply(webhook(), "owned");
    const findings = await check();
    has(findings, /^WebhookWithoutAuthority MutatingWebhookConfiguration .*no caBundle/);
    has(findings, /^WebhookDoesNothing .*: a pod that asks for an agent, created for trial, got none/);
    const called = webhook();
    const [one] = called.webhooks;
    await world.apply(
      { ...called, webhooks: [{ ...one, namespaceSelector: { matchLabels: { "test/trial": world.namespace } } }] },
      "owned",
    );
    await world.kubectl(["label", "namespace", world.namespace, `test/trial=${world.namespace}`]);
    await until(async () => (await check()).some((finding) => /^WebhookFails .*failed calling webhook/.test(finding)));
    const pods = await world.read(["-n", world.namespace, "get", "pods"]);
    assert.ok(
      !pods.items.some(({ metadata }: Loose) => metadata.name.startsWith("cutline-check")),
      "the trial is not kept",
    );
  });

  it("finds definitions of an older version", async () => {
    const name = "globalsnapshotschedules.cutline.dev";
    const definition = await world.read(["get", "crd", name]);
    delete definition.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.startingDeadlineSeconds;
    delete definition.metadata.resourceVersion;
    delete definition.metadata.managedFields;
    await world.kubectl(["replace", "--validate=false", "-f", "-"], definition);
    try {
      has(await check(), /^DefinitionOld .*: it is of an older version: spec.startingDeadlineSeconds are not in it/);
    } finally {
      await world.applyDefinitions();
    }
  });
});

/** The API server learns of a configuration a moment later. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!(await holds())) if (performance.now() > endMs) throw new Error("it did not come to be within 60000 ms");
}
