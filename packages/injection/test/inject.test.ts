import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inject } from "../src/inject.ts";
import type { Json, JsonObject } from "../src/json.ts";
import { objectAt } from "../src/pod.ts";
import { envOf, injectedOf, refusalOf } from "./support/injected.ts";
import { podOf, policy } from "./support/pods.ts";

const names = (list: readonly JsonObject[]) => list.map(({ name }) => name);
const redirected = { "cutline.dev/traffic": "redirect", "cutline.dev/outbound-ports": "9000" };

describe("injection", () => {
  it("puts the agent first among the init containers, as a native sidecar", () => {
    const { initContainers, containers } = injectedOf(
      podOf({ spec: { initContainers: [{ name: "migrate", image: "m" }] } }),
    );
    assert.deepEqual(names(initContainers), ["cutline-agent", "migrate"]);
    assert.equal(initContainers[0]?.restartPolicy, "Always");
    assert.deepEqual(names(containers), ["ledger"]);
  });

  it("puts it last among the containers where the cluster has no native sidecars", () => {
    const { initContainers, containers } = injectedOf(podOf(), { nativeSidecars: false });
    assert.deepEqual(initContainers, []);
    assert.deepEqual(names(containers), ["ledger", "cutline-agent"]);
    assert.equal(containers[1]?.restartPolicy, undefined);
  });

  it("meets Pod Security restricted", () => {
    const { initContainers, volumes } = injectedOf(podOf());
    const [agent] = initContainers;
    const { runAsUser, ...securityContext } = objectAt(agent?.securityContext, "");
    assert.ok(Number(runAsUser) > 0);
    assert.deepEqual(securityContext, {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsGroup: runAsUser,
      runAsNonRoot: true,
      seccompProfile: { type: "RuntimeDefault" },
    });
    const kinds = volumes.map(({ name: _, ...source }) => Object.keys(source)[0]);
    assert.deepEqual(kinds, ["emptyDir", "emptyDir", "projected"]);
  });

  it("adds proxies to every container, and leaves alone what the user has set", () => {
    const own = { name: "grpc_proxy", value: "http://corporate:3128" };
    const other = { name: "helper", image: "h" };
    const { containers, warnings } = injectedOf(podOf({ container: { env: [own] }, others: [other] }));
    assert.equal(envOf(containers[0]).grpc_proxy, "http://corporate:3128");
    assert.equal(envOf(containers[0]).no_grpc_proxy, "localhost,127.0.0.1");
    assert.equal(envOf(containers[1]).grpc_proxy, "http://127.0.0.1:15001");
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /container ledger sets grpc_proxy itself/);
  });

  it("takes a proxy in either case for the user's own", () => {
    const env = [{ name: "https_proxy", value: "http://corporate:3128" }];
    const { containers, warnings } = injectedOf(podOf({ container: { env } }), { clients: ["go"] });
    assert.equal(envOf(containers[0]).HTTPS_PROXY, undefined);
    assert.match(warnings.join(), /sets https_proxy itself/);
  });

  it("keeps Go programs able to reach the API server without the agent", () => {
    const { containers } = injectedOf(podOf(), { clients: ["go"], noProxy: [".example"] });
    const { HTTPS_PROXY, NO_PROXY } = envOf(containers[0]);
    assert.equal(HTTPS_PROXY, "http://127.0.0.1:15001");
    assert.equal(NO_PROXY, "localhost,127.0.0.1,.example,kubernetes.default.svc,$(KUBERNETES_SERVICE_HOST)");
  });

  it("tells the agent of the pod's labels, but not of its generation's", () => {
    const labels = { tier: "core", "pod-template-hash": "5d4", "batch.kubernetes.io/job-name": "j" };
    assert.equal(injectedOf(podOf({ labels })).agentEnv.CUTLINE_LABELS, "app=ledger,tier=core");
  });

  it("gives only as many labels as the agent's setting takes", () => {
    const labels = Object.fromEntries(Array.from({ length: 90 }, (_, at) => [`l${at}`, "x".repeat(63)]));
    const { CUTLINE_LABELS = "" } = injectedOf(podOf({ labels })).agentEnv;
    assert.ok(CUTLINE_LABELS.length <= 4_096 && CUTLINE_LABELS.length > 3_900, String(CUTLINE_LABELS.length));
    assert.ok(CUTLINE_LABELS.split(",").every((pair) => /^[a-z0-9]+=[a-z]+$/.test(pair)));
  });

  it("does not let text of the user become a reference to a variable", () => {
    const annotations = { "cutline.dev/capture": "http://127.0.0.1:8080/$(POD_NAME)" };
    assert.equal(injectedOf(podOf({ annotations })).agentEnv.CUTLINE_CAPTURE, "http://127.0.0.1:8080/$$(POD_NAME)");
  });

  it("leaves the agent what the pod's grace period allows, and says when that is short", () => {
    const of = (seconds?: number) =>
      injectedOf(podOf({ spec: seconds === undefined ? {} : { terminationGracePeriodSeconds: seconds } }));
    assert.equal(of().agentEnv.CUTLINE_STOP_GRACE_MS, "10000");
    assert.deepEqual(of().warnings, []);
    assert.equal(of(8).agentEnv.CUTLINE_STOP_GRACE_MS, "3000");
    assert.match(of(8).warnings.join(), /terminationGracePeriodSeconds is 8/);
    assert.equal(of(0).agentEnv.CUTLINE_STOP_GRACE_MS, "1000");
  });

  it("takes the application's port by annotation, by name, or from the first TCP port", () => {
    const ports = [
      { containerPort: 53, protocol: "UDP" },
      { containerPort: 8080 },
      { name: "rpc", containerPort: 7000 },
    ];
    const portOf = (annotations: Record<string, string>) =>
      injectedOf(podOf({ container: { ports }, annotations })).agentEnv.CUTLINE_APPLICATION_ADDRESS;
    assert.equal(portOf({}), "127.0.0.1:8080");
    assert.equal(portOf({ "cutline.dev/application-port": "rpc" }), "127.0.0.1:7000");
    assert.equal(portOf({ "cutline.dev/application-port": "6000" }), "127.0.0.1:6000");
  });
});

describe("redirect mode", () => {
  it("gives a privilege to the step that writes the rules, and to nothing else", () => {
    const { initContainers, containers } = injectedOf(podOf({ annotations: redirected }));
    assert.deepEqual(names(initContainers), ["cutline-redirect", "cutline-agent"]);
    const [redirect, agent] = initContainers;
    assert.deepEqual(objectAt(redirect?.securityContext, "").capabilities, { add: ["NET_ADMIN"], drop: ["ALL"] });
    assert.deepEqual(objectAt(agent?.securityContext, "").capabilities, { drop: ["ALL"] });
    assert.deepEqual(envOf(containers[0]), {}, "no proxies beside the rules");
  });

  it("runs the agent as a user of its own, whose traffic the rules leave alone", () => {
    const { initContainers } = injectedOf(podOf({ annotations: redirected }));
    const [redirect, agent] = initContainers;
    assert.equal(objectAt(agent?.securityContext, "").runAsUser, 15_001);
    assert.equal(envOf(redirect).CUTLINE_REDIRECT_AGENT_USER, "15001");
    const container = { securityContext: { runAsUser: 15_001 } };
    assert.equal(refusalOf(podOf({ annotations: redirected, container })).code, "UserClash");
    const spec = { securityContext: { runAsUser: 15_001 } };
    assert.equal(refusalOf(podOf({ annotations: redirected, spec })).code, "UserClash");
  });

  it("leads what the kubelet asks at the application's port around the agent", () => {
    const container = {
      readinessProbe: { grpc: { port: 9000, service: "s" }, periodSeconds: 5 },
      livenessProbe: { tcpSocket: { port: "grpc" } },
      startupProbe: { httpGet: { path: "/", port: 8080 } },
      lifecycle: { preStop: { httpGet: { path: "/stop", port: 9000 } }, postStart: { exec: { command: ["x"] } } },
    };
    const helper = { name: "helper", image: "h", livenessProbe: { tcpSocket: { port: "grpc" } } };
    const { containers } = injectedOf(podOf({ annotations: redirected, container, others: [helper] }));
    assert.deepEqual(containers[0]?.readinessProbe, { grpc: { port: 15_021, service: "s" }, periodSeconds: 5 });
    assert.deepEqual(containers[0]?.livenessProbe, { tcpSocket: { port: 15_021 } });
    assert.deepEqual(containers[0]?.startupProbe, container.startupProbe);
    assert.deepEqual(containers[0]?.lifecycle, {
      preStop: { httpGet: { path: "/stop", port: 15_021 } },
      postStart: { exec: { command: ["x"] } },
    });
    assert.deepEqual(containers[1]?.livenessProbe, helper.livenessProbe, "another container's name is another port");
  });

  it("says when no outbound port is listed", () => {
    const annotations = { "cutline.dev/traffic": "redirect" };
    assert.match(injectedOf(podOf({ annotations })).warnings.join(), /outbound-ports names no port/);
  });
});

describe("what is left alone", () => {
  const reasonOf = (pod: Json, namespace: string | undefined) => {
    const outcome = inject({ pod, namespace, policy });
    return outcome.outcome === "skipped" ? outcome.reason : outcome.outcome;
  };

  it("is what does not want it, the cluster's own, Cutline's own and what a kubelet makes", () => {
    const own = podOf({ labels: { "app.kubernetes.io/name": "cutline" } });
    assert.equal(reasonOf(podOf({ labels: { "cutline.dev/inject": "false" } }), "bank"), "NotAsked");
    assert.equal(reasonOf(podOf(), "kube-system"), "SystemNamespace");
    assert.equal(reasonOf(podOf({ metadata: { namespace: "kube-system" } }), undefined), "SystemNamespace");
    assert.equal(reasonOf(own, "cutline"), "OwnPod");
    assert.equal(reasonOf(own, "bank"), "patch", "the label alone is nothing in another namespace");
    assert.equal(reasonOf(podOf(), "cutline"), "patch", "others may live in Cutline's namespace");
    assert.equal(reasonOf(podOf({ annotations: { "kubernetes.io/config.mirror": "h" } }), "bank"), "StaticPod");
  });
});
