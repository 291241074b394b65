import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { coordinatorConfig } from "@cutline/coordinator";
import { defaultPolicy, inject, type Json } from "@cutline/injection";
import { loadConfig } from "@cutline/runtime";
import { type Manifest, type Rendered, render } from "./support/helm.ts";
import { patched } from "./support/json-patch.ts";
import { problemsOf } from "./support/openapi.ts";
import { breaches, type PodSpec } from "./support/pod-security.ts";
import { variants, versions } from "./support/variants.ts";

function podsOf({ manifests }: Rendered): { readonly name: string; readonly pod: PodSpec }[] {
  return manifests.flatMap(({ kind, metadata, spec }) => {
    if (kind === "Pod") return [{ name: metadata.name, pod: spec }];
    return spec?.template?.spec === undefined ? [] : [{ name: metadata.name, pod: spec.template.spec }];
  });
}

describe("every manifest", () => {
  for (const [name, values] of Object.entries(variants)) {
    for (const version of versions) {
      it(`is what the Kubernetes OpenAPI says: ${name}, ${version}`, async () => {
        const rendered = await render(values, { version });
        assert.ok(rendered.manifests.length > 3);
        for (const manifest of rendered.manifests) {
          assert.deepEqual(await problemsOf(manifest), [], `${manifest.kind} ${manifest.metadata.name}`);
        }
        for (const { name: pod, pod: spec } of podsOf(rendered)) {
          assert.deepEqual(breaches(spec), [], `${pod} and Pod Security "restricted"`);
          for (const container of spec.containers) {
            assert.deepEqual(readOnly(container), true, `${pod} writes to its image`);
          }
        }
      });
    }
  }

  it("of a kind that is in every namespace names its own", async () => {
    const clusterKinds = new Set(["ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration"]);
    for (const values of Object.values(variants)) {
      for (const { kind, metadata } of (await render(values)).manifests) {
        assert.equal(metadata.namespace === undefined, clusterKinds.has(kind), `${kind} ${metadata.name}`);
      }
    }
  });
});

const readOnly = (container: unknown) =>
  (container as { securityContext?: { readOnlyRootFilesystem?: boolean } }).securityContext?.readOnlyRootFilesystem;

describe("the check of manifests", () => {
  it("finds fields that nobody knows, wrong types, and what is missing", async () => {
    const deployment = (await render()).get("Deployment", "cutline-coordinator");
    const broken = (change: (spec: Manifest["spec"]) => void) => {
      const copy = structuredClone(deployment);
      change(copy.spec);
      return problemsOf(copy);
    };
    const unknown = await broken((spec) => {
      spec.template.spec.containers[0].readynessProbe = {};
    });
    assert.match(unknown.join(), /readynessProbe is unknown/);
    const wrong = await broken((spec) => {
      spec.replicas = "two";
    });
    assert.match(wrong.join(), /replicas/);
    const missing = await broken((spec) => {
      spec.selector = undefined;
    });
    assert.match(missing.join(), /selector/);
    assert.deepEqual(await problemsOf({ ...deployment, apiVersion: "apps/v1beta9" }).catch(() => ["none"]), ["none"]);
  });

  it("finds what breaks Pod Security", () => {
    const container = { name: "c", securityContext: { privileged: true, capabilities: { add: ["NET_ADMIN"] } } };
    const found = breaches({ hostNetwork: true, containers: [container], volumes: [{ name: "v", hostPath: {} }] });
    for (const breach of ["hostNetwork", "a volume of the kind hostPath", "c: privileged", "c: seccompProfile"]) {
      assert.ok(found.includes(breach), `${breach} is not in ${found.join(", ")}`);
    }
    assert.ok(found.includes("c: capabilities are added"));
  });
});

describe("a pod with an agent", () => {
  const policy = { ...defaultPolicy, version: "0.1.0", image: "cutline:0.1.0", meshAuthorities: "PEM" };
  const securityContext = {
    ...{ allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: { drop: ["ALL"] } },
    seccompProfile: { type: "RuntimeDefault" },
  };
  const container = { name: "app", image: "app", ports: [{ containerPort: 9000 }], securityContext };
  const pod: Json = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "app", namespace: "shop", labels: { "cutline.dev/inject": "true" } },
    spec: { containers: [container] },
  };

  for (const nativeSidecars of [true, false]) {
    it(`meets Pod Security "restricted" and the OpenAPI, ${nativeSidecars ? "native" : "beside"}`, async () => {
      const outcome = inject({ pod, namespace: "shop", policy: { ...policy, nativeSidecars } });
      assert.equal(outcome.outcome, "patch");
      const injected = patched(pod, outcome.operations) as unknown as Manifest;
      const names = [...(injected.spec.initContainers ?? []), ...injected.spec.containers].map(({ name }) => name);
      assert.ok(names.includes("cutline-agent"));
      assert.deepEqual(breaches(injected.spec), []);
      assert.deepEqual(await problemsOf(injected), []);
    });
  }
});

describe("the coordinator's settings", () => {
  for (const [name, values] of Object.entries(variants)) {
    it(`are known to it, and accepted: ${name}`, async () => {
      const given = [...(await render(values)).environment].map(([key, value]) => [
        key,
        typeof value === "string" ? value : "redis://cutline-redis:6379",
      ]);
      const loaded = loadConfig(coordinatorConfig, Object.fromEntries(given));
      assert.equal(loaded.outcome, "ok", JSON.stringify(loaded));
      assert.deepEqual(loaded.warnings, []);
    });
  }
});
