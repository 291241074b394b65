import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { render } from "./support/helm.ts";

const never = { key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["kube-system", "system"] };
const webhookOf = async (values: object) => {
  const configuration = (await render({ ...values })).get("MutatingWebhookConfiguration", "cutline-system");
  assert.equal(configuration.webhooks.length, 1);
  return configuration.webhooks[0];
};

describe("the webhook", () => {
  it("looks at pods that ask for an agent, outside of its own namespace and kube-system", async () => {
    const webhook = await webhookOf({});
    assert.deepEqual(webhook.objectSelector, { matchLabels: { "cutline.dev/inject": "true" } });
    assert.deepEqual(webhook.namespaceSelector, { matchExpressions: [never] });
    assert.deepEqual(webhook.rules[0].operations, ["CREATE"]);
    assert.deepEqual(webhook.rules[0].resources, ["pods"]);
    assert.equal(webhook.clientConfig.caBundle, undefined);
    assert.deepEqual(webhook.clientConfig.service, {
      ...{ name: "cutline-webhook", namespace: "system", path: "/inject", port: 443 },
    });
  });

  it("looks at watched namespaces only", async () => {
    const { namespaceSelector } = await webhookOf({ watchNamespaces: ["shop", "bank"] });
    const watched = { key: "kubernetes.io/metadata.name", operator: "In", values: ["shop", "bank"] };
    assert.deepEqual(namespaceSelector, { matchExpressions: [watched, never] });
  });

  it("looks where selectors say, and still never at itself", async () => {
    const namespaceSelector = { matchLabels: { mesh: "on" }, matchExpressions: [{ key: "x", operator: "Exists" }] };
    const objectSelector = { matchExpressions: [{ key: "cutline.dev/inject", operator: "NotIn", values: ["false"] }] };
    const webhook = await webhookOf({ watchNamespaces: ["shop"], injection: { namespaceSelector, objectSelector } });
    assert.deepEqual(webhook.namespaceSelector.matchLabels, { mesh: "on" });
    assert.deepEqual(webhook.namespaceSelector.matchExpressions, [{ key: "x", operator: "Exists" }, never]);
    assert.deepEqual(webhook.objectSelector, objectSelector);
  });

  it("fails, waits and is asked again as the values say", async () => {
    const byDefault = await webhookOf({});
    assert.deepEqual(
      [byDefault.failurePolicy, byDefault.timeoutSeconds, byDefault.reinvocationPolicy],
      ["Fail", 10, "IfNeeded"],
    );
    const injection = { failurePolicy: "Ignore", timeoutSeconds: 3, reinvocationPolicy: "Never" };
    const { failurePolicy, timeoutSeconds, reinvocationPolicy } = await webhookOf({ injection });
    assert.deepEqual({ failurePolicy, timeoutSeconds, reinvocationPolicy }, injection);
  });

  it("leaves nothing behind when it is off", async () => {
    const rendered = await render({ injection: { enabled: false } });
    assert.deepEqual(
      rendered.names().filter((name) => name.toLowerCase().includes("webhook")),
      [],
    );
    assert.equal(rendered.environment.has("CUTLINE_WEBHOOK"), false);
    assert.ok(!JSON.stringify(rendered.manifests).includes("mutatingwebhookconfigurations"));
  });

  it("has its certificate from the coordinator, through a Secret that is shipped empty", async () => {
    const rendered = await render();
    for (const name of ["cutline-webhook", "cutline-authority"]) {
      const secret = rendered.get("Secret", name);
      assert.equal(secret.type, "Opaque");
      assert.equal(secret.data, undefined);
    }
    assert.equal(rendered.environment.get("CUTLINE_WEBHOOK_SECRET"), "cutline-webhook");
    assert.equal(rendered.environment.get("CUTLINE_WEBHOOK_CONFIGURATION"), "cutline-system");
    assert.equal(rendered.environment.get("CUTLINE_WEBHOOK_DNS_NAMES"), "cutline-webhook.system.svc");
  });

  it("has it from cert-manager, and then touches no Secret of its own", async () => {
    const rendered = await render({ certManager: { enabled: true, duration: "24h", renewBefore: "8h" } });
    assert.equal(rendered.find("Secret", "cutline-webhook"), undefined);
    const { metadata } = rendered.get("MutatingWebhookConfiguration", "cutline-system");
    assert.equal(metadata.annotations?.["cert-manager.io/inject-ca-from"], "system/cutline-webhook");
    const { spec } = rendered.get("Certificate", "cutline-webhook");
    assert.equal(spec.secretName, "cutline-webhook");
    assert.deepEqual(spec.dnsNames, ["cutline-webhook.system.svc", "cutline-webhook.system.svc.cluster.local"]);
    assert.deepEqual(spec.issuerRef, { name: "cutline-webhook", kind: "Issuer" });
    assert.deepEqual(rendered.names("Issuer"), ["cutline-webhook"]);
    assert.equal(rendered.environment.get("CUTLINE_WEBHOOK_CERTIFICATE_FILE"), "/var/run/cutline/webhook/tls.crt");
    assert.equal(rendered.environment.has("CUTLINE_WEBHOOK_SECRET"), false);
    const { volumeMounts } = rendered.coordinator.containers[0];
    assert.ok(volumeMounts.some(({ mountPath }: { mountPath: string }) => mountPath === "/var/run/cutline/webhook"));
    assert.ok(!JSON.stringify(rendered.get("Role", "cutline-coordinator")).includes("cutline-webhook"));
    assert.ok(!JSON.stringify(rendered.manifests).includes("mutatingwebhookconfigurations"));
  });

  it("has it from an issuer that is there", async () => {
    const issuerRef = { name: "corporate", kind: "ClusterIssuer", group: "cert-manager.io" };
    const rendered = await render({ certManager: { enabled: true, issuerRef } });
    assert.deepEqual(rendered.names("Issuer"), []);
    assert.deepEqual(rendered.get("Certificate", "cutline-webhook").spec.issuerRef, issuerRef);
  });
});

describe("agents", () => {
  it("are what the values say", async () => {
    const agent = {
      traffic: "redirect",
      nativeSidecars: "never",
      outboundPorts: [9000, 50_051],
      noProxy: ["metadata", "10.0.0.0/8"],
      clients: ["go", "java"],
      resources: { requests: { cpu: "50m", memory: "96Mi" }, limits: { cpu: 1, memory: null } },
    };
    const { environment } = await render({ injection: { agent }, image: { pullPolicy: "Always" } });
    const of = (name: string) => environment.get(`CUTLINE_INJECTION_${name}`);
    assert.deepEqual(
      {
        ...{ image: of("IMAGE"), policy: of("IMAGE_PULL_POLICY"), service: of("AGENTS_SERVICE") },
        ...{ traffic: of("TRAFFIC"), sidecars: of("NATIVE_SIDECARS"), ports: of("OUTBOUND_PORTS") },
        ...{ noProxy: of("NO_PROXY"), clients: of("CLIENTS") },
        resources: [of("CPU_REQUEST"), of("MEMORY_REQUEST"), of("CPU_LIMIT"), of("MEMORY_LIMIT")],
      },
      {
        ...{ image: "cutline:0.1.0", policy: "Always", service: "cutline-agents" },
        ...{ traffic: "redirect", sidecars: "never", ports: "9000,50051" },
        ...{ noProxy: "metadata,10.0.0.0/8", clients: "go,java" },
        resources: ["50m", "96Mi", "1", "none"],
      },
    );
  });

  it("have requests, and a limit of memory only", async () => {
    const { environment } = await render();
    const of = (name: string) => environment.get(`CUTLINE_INJECTION_${name}`);
    assert.deepEqual(
      [of("CPU_REQUEST"), of("MEMORY_REQUEST"), of("CPU_LIMIT"), of("MEMORY_LIMIT")],
      ["100m", "128Mi", "none", "512Mi"],
    );
    assert.equal(environment.has("CUTLINE_INJECTION_OUTBOUND_PORTS"), false);
  });
});
