import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Json } from "../src/json.ts";
import type { RefusalCode } from "../src/outcome.ts";
import type { InjectionPolicy } from "../src/policy.ts";
import { refusalOf } from "./support/injected.ts";
import { podOf } from "./support/pods.ts";

const annotated = (name: string, value: string) => podOf({ annotations: { [`cutline.dev/${name}`]: value } });
const withPort = (containerPort: number) =>
  podOf({ container: { ports: [{ containerPort: 9000 }, { containerPort }] } });

const cases: readonly (readonly [
  what: string,
  pod: Json,
  code: RefusalCode,
  message: RegExp,
  changes?: Partial<InjectionPolicy>,
])[] = [
  [
    "an unknown annotation",
    annotated("captur", "none"),
    "AnnotationUnknown",
    /no annotation cutline.dev\/captur; .*cutline.dev\/capture,/,
  ],
  ["a label that is neither", podOf({ labels: { "cutline.dev/inject": "yes" } }), "AnnotationInvalid", /"yes"/],
  ["a capture on another host", annotated("capture", "http://10.0.0.1:80/"), "AnnotationInvalid", /file:\/\/\/PATH/],
  ["a capture of no form", annotated("capture", "redis://x"), "AnnotationInvalid", /capture is "redis:\/\/x"/],
  ["a port beyond", annotated("application-port", "65536"), "AnnotationInvalid", /from 1 to 65535/],
  ["a mode that is none", annotated("traffic", "tproxy"), "AnnotationInvalid", /one of env, redirect/],
  ["a list of ports with a name", annotated("outbound-ports", "9000,grpc"), "AnnotationInvalid", /ports from 1/],
  ["an empty host, which would match all", annotated("no-proxy", "a,,b"), "AnnotationInvalid", /hosts/],
  ["a stack that is unknown", annotated("clients", "rust"), "AnnotationInvalid", /some of go, java/],
  ["an authority without a port", annotated("authorities", "ledger"), "AnnotationInvalid", /host:port/],
  ["a rule that is none", annotated("readiness", "always"), "AnnotationInvalid", /serving, strict/],
  ["a level that is none", annotated("log-level", "loud"), "AnnotationInvalid", /trace/],
  ["a quantity that is none", annotated("agent-memory-limit", "lots"), "AnnotationInvalid", /128Mi/],
  ["no container of that name", annotated("container", "other"), "ContainerMissing", /the containers are ledger/],
  ["no port", podOf({ container: { ports: [] } }), "PortMissing", /container ledger names no port/],
  ["no port of that name", annotated("application-port", "rpc"), "PortMissing", /no TCP port of that name/],
  ["the agent's outbound port", withPort(15_001), "PortClash", /15001.*outbound/],
  ["the agent's health port", withPort(15_020), "PortClash", /15020.*health/],
  ["the agent's port as the application's", annotated("application-port", "15006"), "PortClash", /inbound/],
  ["the host's network", podOf({ spec: { hostNetwork: true } }), "HostNetwork", /hostNetwork/],
  ["a Windows pod", podOf({ spec: { os: { name: "windows" } } }), "WindowsPod", /Linux only/],
  ["a Windows node", podOf({ spec: { nodeSelector: { "kubernetes.io/os": "windows" } } }), "WindowsPod", /Linux only/],
  [
    "an agent made by hand",
    podOf({ others: [{ name: "cutline-agent", image: "x" }] }),
    "ContainerTaken",
    /was not injected/,
  ],
  [
    "an agent made by hand, with a status that is none",
    podOf({ others: [{ name: "cutline-agent", image: "x" }], annotations: { "cutline.dev/injected": "true" } }),
    "ContainerTaken",
    /was not injected/,
  ],
  ["a volume of the agent's", podOf({ spec: { volumes: [{ name: "cutline-tmp" }] } }), "VolumeTaken", /cutline-tmp/],
  ["a file in no volume", annotated("capture", "file:///data/s.json"), "CaptureFileNotShared", /volume/],
  [
    "a Job without native sidecars",
    podOf({ spec: { restartPolicy: "Never" } }),
    "JobNeedsNativeSidecars",
    /1\.29/,
    { nativeSidecars: false },
  ],
  [
    "a pod of a Job without native sidecars",
    podOf({ metadata: { ownerReferences: [{ kind: "Job" }] } }),
    "JobNeedsNativeSidecars",
    /1\.29/,
    { nativeSidecars: false },
  ],
  ["no pod", null, "PodInvalid", /an object/],
  ["a pod without containers", { spec: {} }, "PodInvalid", /spec.containers/],
  ["a container without a name", { spec: { containers: [{}] } }, "PodInvalid", /containers\[0\].name/],
  ["containers that are none", { spec: { containers: "x" } }, "PodInvalid", /a list/],
  ["an annotation that is no text", podOf({ metadata: { annotations: { a: 1 } } }), "PodInvalid", /into quotes/],
];

describe("refused, with the reason and what to do", () => {
  for (const [what, pod, code, message, changes] of cases) {
    it(what, () => {
      const refusal = refusalOf(pod, changes);
      assert.equal(refusal.code, code, refusal.message);
      assert.match(refusal.message, message);
    });
  }

  it("names every annotation that is wrong at once", () => {
    const { message } = refusalOf(podOf({ annotations: { "cutline.dev/traffic": "x", "cutline.dev/nothing": "y" } }));
    assert.match(message, /cutline.dev\/nothing/);
    assert.match(message, /cutline.dev\/traffic is "x"/);
  });
});
