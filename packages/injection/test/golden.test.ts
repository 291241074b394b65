import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { inject } from "../src/inject.ts";
import type { Json } from "../src/json.ts";
import type { InjectionPolicy } from "../src/policy.ts";
import { type PodParts, podOf, policy } from "./support/pods.ts";

const probes = {
  readinessProbe: { grpc: { port: 9000 }, periodSeconds: 5 },
  livenessProbe: { tcpSocket: { port: "grpc" } },
  startupProbe: { httpGet: { path: "/", port: 8080 } },
};

const cases: readonly (readonly [name: string, parts: PodParts, changes: Partial<InjectionPolicy>])[] = [
  ["native", { spec: { initContainers: [{ name: "migrate", image: "migrate:1" }] } }, {}],
  ["ordinary", { spec: { initContainers: [{ name: "migrate", image: "migrate:1" }] } }, { nativeSidecars: false }],
  ["without-tls", {}, { meshAuthorities: undefined }],
  [
    "every-annotation",
    {
      annotations: {
        "cutline.dev/capture": "http://127.0.0.1:8080/state",
        "cutline.dev/application-port": "grpc",
        "cutline.dev/container": "ledger",
        "cutline.dev/traffic": "env",
        "cutline.dev/no-proxy": "otel-collector, 10.0.0.0/8",
        "cutline.dev/clients": "go,java",
        "cutline.dev/authorities": "ledger:9000,ledger.bank:9000",
        "cutline.dev/readiness": "strict",
        "cutline.dev/log-level": "debug",
        "cutline.dev/agent-cpu-request": "50m",
        "cutline.dev/agent-cpu-limit": "2",
        "cutline.dev/agent-memory-request": "64Mi",
        "cutline.dev/agent-memory-limit": "1Gi",
      },
      others: [{ name: "helper", image: "helper:1", env: [{ name: "HELPER", value: "1" }] }],
    },
    {},
  ],
  [
    "redirect",
    {
      annotations: { "cutline.dev/traffic": "redirect", "cutline.dev/outbound-ports": "9000,50051" },
      container: probes,
    },
    {},
  ],
  [
    "redirect-ordinary",
    { spec: { initContainers: [{ name: "migrate", image: "migrate:1" }] } },
    { nativeSidecars: false, traffic: "redirect", outboundPorts: [9000] },
  ],
  [
    "captured-file",
    {
      annotations: { "cutline.dev/capture": "file:///data/state/now.json" },
      container: {
        volumeMounts: [
          { name: "everything", mountPath: "/data" },
          { name: "data", mountPath: "/data/state", subPath: "s" },
        ],
      },
      spec: { volumes: [{ name: "data", emptyDir: {} }] },
    },
    {},
  ],
];

/** `node --test --test-update-snapshots` writes the files of golden/ anew; read what changed before you keep it. */
function compare(context: TestContext, name: string, value: Json): void {
  const serializers = [(text: Json) => `${JSON.stringify(text, null, 2)}\n`];
  context.assert.fileSnapshot(value, join(import.meta.dirname, "golden", `${name}.json`), { serializers });
}

describe("the patch", () => {
  for (const [name, parts, changes] of cases) {
    it(`is what it was: ${name}`, (context) => {
      const outcome = inject({ pod: podOf(parts), namespace: "bank", policy: { ...policy, ...changes } });
      compare(context, name, outcome as unknown as Json);
    });
  }
});
