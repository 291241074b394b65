import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defineConfig, loadConfig } from "@cutline/runtime";
import { type PolicySources, policyOf } from "../../../src/kubernetes/webhook/policy.ts";
import { injectionSettings } from "../../../src/kubernetes/webhook/settings.ts";

const definition = defineConfig(injectionSettings);

function configOf(environment: Record<string, string> = {}) {
  const loaded = loadConfig(definition, { CUTLINE_INJECTION_IMAGE: "cutline:1", ...environment });
  if (loaded.outcome === "invalid") assert.fail(JSON.stringify(loaded.problems));
  return loaded.config;
}

function sources(over: Partial<PolicySources> = {}): PolicySources {
  return {
    version: "1.2.3",
    namespace: "cutline",
    clusterVersion: async () => ({ major: "1", minor: "33" }),
    versionMs: 1_000,
    now: () => 0,
    ...over,
  };
}

describe("the webhook's policy", () => {
  it("is what the settings say", async () => {
    const config = configOf({
      CUTLINE_INJECTION_IMAGE_PULL_POLICY: "Always",
      CUTLINE_INJECTION_TRAFFIC: "redirect",
      CUTLINE_INJECTION_OUTBOUND_PORTS: "9000, 50051",
      CUTLINE_INJECTION_NO_PROXY: "otel",
      CUTLINE_INJECTION_CLIENTS: "go,java",
      CUTLINE_INJECTION_CPU_LIMIT: "2",
      CUTLINE_INJECTION_MEMORY_LIMIT: "none",
    });
    assert.deepEqual(await policyOf(config, sources())(), {
      version: "1.2.3",
      image: "cutline:1",
      imagePullPolicy: "Always",
      coordinatorNamespace: "cutline",
      agentsService: "cutline-agents",
      nativeSidecars: true,
      meshAuthorities: undefined,
      traffic: "redirect",
      outboundPorts: [9000, 50_051],
      noProxy: ["otel"],
      clients: ["go", "java"],
      resources: { cpuRequest: "100m", cpuLimit: "2", memoryRequest: "128Mi", memoryLimit: undefined },
    });
  });

  it("wants an image", () => {
    const loaded = loadConfig(definition, {});
    assert.ok(loaded.outcome !== "invalid");
    assert.throws(() => policyOf(loaded.config, sources()), {
      code: "ConfigInvalid",
      message: /CUTLINE_INJECTION_IMAGE/,
    });
  });

  it("waits for the authority of the mesh", async () => {
    let pem: string | undefined;
    const policy = policyOf(configOf(), sources({ authorities: () => pem }));
    await assert.rejects(policy(), { code: "AuthorityUnknown" });
    pem = "PEM";
    assert.equal((await policy()).meshAuthorities, "PEM");
  });

  it("asks the cluster for its version, and again after a while, and keeps what it knew", async () => {
    let [nowMs, minor, asked] = [0, "28", 0];
    const clusterVersion = async () => {
      asked += 1;
      if (minor === "") throw new Error("the API server is away");
      return { major: "1", minor };
    };
    const policy = policyOf(configOf(), sources({ clusterVersion, now: () => nowMs }));
    assert.equal((await policy()).nativeSidecars, false);
    minor = "29";
    assert.equal((await policy()).nativeSidecars, false);
    assert.equal(asked, 1);
    nowMs = 1_001;
    assert.equal((await policy()).nativeSidecars, true);
    [nowMs, minor] = [5_000, ""];
    assert.equal((await policy()).nativeSidecars, true);
  });

  it("fails while the version has never been known, unless it is set", async () => {
    const clusterVersion = () => Promise.reject(new Error("the API server is away"));
    await assert.rejects(policyOf(configOf(), sources({ clusterVersion }))(), /is away/);
    const always = configOf({ CUTLINE_INJECTION_NATIVE_SIDECARS: "always" });
    assert.equal((await policyOf(always, sources({ clusterVersion }))()).nativeSidecars, true);
    const never = configOf({ CUTLINE_INJECTION_NATIVE_SIDECARS: "never" });
    assert.equal((await policyOf(never, sources({ clusterVersion }))()).nativeSidecars, false);
  });
});
