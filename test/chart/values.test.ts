import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { render, type Values } from "./support/helm.ts";

const external = { externalRedis: { existingSecret: "my-redis" } };
const refusal = (values: Values, message: RegExp) => assert.rejects(render(values), message);

describe("images", () => {
  it("come from the global registry, by digest before tag", async () => {
    const digest = `sha256:${"a".repeat(64)}`;
    const rendered = await render({
      global: { imageRegistry: "registry.example.com/mirror/", imagePullSecrets: [{ name: "pull" }] },
      image: { registry: "ignored.example.com", repository: "team/cutline", tag: "9.9.9" },
      redis: { image: { digest } },
    });
    const { containers, imagePullSecrets } = rendered.coordinator;
    assert.equal(containers[0].image, "registry.example.com/mirror/team/cutline:9.9.9");
    assert.deepEqual(imagePullSecrets, [{ name: "pull" }]);
    const redis = rendered.get("StatefulSet", "cutline-redis").spec.template.spec;
    assert.equal(redis.containers[0].image, `registry.example.com/mirror/redis@${digest}`);
    assert.deepEqual(redis.imagePullSecrets, [{ name: "pull" }]);
    assert.equal(rendered.environment.get("CUTLINE_INJECTION_IMAGE"), containers[0].image);
  });

  it("are the chart's version from nobody's registry by default", async () => {
    const { containers } = (await render()).coordinator;
    assert.equal(containers[0].image, "cutline:0.1.0");
    assert.equal(containers[0].imagePullPolicy, "IfNotPresent");
  });
});

describe("names", () => {
  it("begin with the release, and with the chart where that does not say it", async () => {
    assert.ok((await render()).find("Service", "cutline-agents"));
    assert.ok((await render({}, { release: "prod" })).find("Service", "prod-cutline-agents"));
    assert.ok((await render({ nameOverride: "snap" })).find("Service", "cutline-snap-agents"));
    assert.ok((await render({ fullnameOverride: "mesh" })).find("Service", "mesh-agents"));
  });

  it("of objects of the cluster carry the namespace", async () => {
    const rendered = await render();
    assert.deepEqual(rendered.names("MutatingWebhookConfiguration"), ["cutline-system"]);
    for (const name of rendered.names("ClusterRole")) assert.match(name, /^cutline-system/);
  });

  it("and common labels stand on every object", async () => {
    for (const { kind, metadata } of (await render({ commonLabels: { team: "ops" } })).manifests) {
      assert.equal(metadata.labels?.team, "ops", kind);
      assert.equal(metadata.labels?.["app.kubernetes.io/instance"], "cutline", kind);
    }
  });
});

describe("the coordinator", () => {
  it("has a disruption budget when there are several, unless told otherwise", async () => {
    const budget = (await render()).get("PodDisruptionBudget", "cutline-coordinator");
    assert.equal(budget.apiVersion, "policy/v1");
    assert.equal(budget.spec.maxUnavailable, 1);
    assert.deepEqual((await render({ coordinator: { replicas: 1 } })).names("PodDisruptionBudget"), []);
    const off = { coordinator: { podDisruptionBudget: { enabled: false } } };
    assert.deepEqual((await render(off)).names("PodDisruptionBudget"), []);
  });

  it("is probed as a replica, which a standby answers too: else a rollout would wait for ever", async () => {
    const { readinessProbe, livenessProbe, startupProbe } = (await render()).coordinator.containers[0];
    assert.equal(readinessProbe.httpGet.path, "/readyz/replica");
    assert.equal(livenessProbe.httpGet.path, "/healthz");
    assert.equal(startupProbe.httpGet.path, "/healthz");
  });

  it("is scheduled as the values say", async () => {
    const coordinator = {
      nodeSelector: { disk: "fast" },
      tolerations: [{ key: "infra", operator: "Exists" }],
      affinity: { nodeAffinity: {} },
      priorityClassName: "high",
      topologySpreadConstraints: [{ maxSkew: 2, topologyKey: "rack", whenUnsatisfiable: "DoNotSchedule" }],
      podAnnotations: { a: "b" },
      podLabels: { c: "d" },
    };
    const { metadata, spec } = (await render({ coordinator })).get("Deployment", "cutline-coordinator").spec.template;
    const { nodeSelector, tolerations, affinity, priorityClassName, topologySpreadConstraints } = coordinator;
    assert.deepEqual(spec.nodeSelector, nodeSelector);
    assert.deepEqual(spec.tolerations, tolerations);
    assert.deepEqual(spec.affinity, affinity);
    assert.equal(spec.priorityClassName, priorityClassName);
    assert.deepEqual(spec.topologySpreadConstraints, topologySpreadConstraints);
    assert.equal(metadata.annotations.a, "b");
    assert.equal(metadata.labels.c, "d");
  });

  it("is spread over hosts and zones by itself", async () => {
    const { topologySpreadConstraints: constraints } = (await render()).coordinator;
    assert.deepEqual(
      constraints.map(({ topologyKey, whenUnsatisfiable }: Values) => [topologyKey, whenUnsatisfiable]),
      [
        ["kubernetes.io/hostname", "ScheduleAnyway"],
        ["topology.kubernetes.io/zone", "ScheduleAnyway"],
      ],
    );
  });

  it("has more variables, volumes and settings", async () => {
    const rendered = await render({
      coordinator: {
        settings: { CUTLINE_SNAPSHOT_BYTES_MAX: 137_438_953_472, CUTLINE_LOG_LEVEL: "debug" },
        extraEnv: [{ name: "TZ", value: "Europe/Berlin" }],
        extraEnvFrom: [{ configMapRef: { name: "more" } }],
        extraVolumes: [{ name: "descriptors", configMap: { name: "descriptors" } }],
        extraVolumeMounts: [{ name: "descriptors", mountPath: "/descriptors" }],
      },
    });
    const [container] = rendered.coordinator.containers;
    assert.equal(rendered.environment.get("CUTLINE_SNAPSHOT_BYTES_MAX"), "137438953472");
    assert.equal(rendered.environment.get("CUTLINE_LOG_LEVEL"), "debug");
    assert.equal(rendered.environment.get("TZ"), "Europe/Berlin");
    assert.deepEqual(container.envFrom, [{ configMapRef: { name: "more" } }]);
    assert.deepEqual(container.volumeMounts.at(-1), { name: "descriptors", mountPath: "/descriptors" });
    assert.equal(rendered.coordinator.volumes.at(-1).name, "descriptors");
  });

  it("has time to stop, and a chart without that is refused", async () => {
    const { containers, terminationGracePeriodSeconds } = (await render()).coordinator;
    assert.equal(terminationGracePeriodSeconds, 30);
    assert.deepEqual(containers[0].lifecycle.preStop, { sleep: { seconds: 3 } });
    await refusal({ coordinator: { stopGraceSeconds: 60 } }, /terminationGracePeriodSeconds is 30: it has to be more/);
    const none = await render({ coordinator: { preStopSeconds: 0 } });
    assert.equal(none.coordinator.containers[0].lifecycle, undefined);
  });

  it("has what is said of its security on top of what is there", async () => {
    const { coordinator } = await render({
      coordinator: { podSecurityContext: { fsGroup: 1 }, securityContext: { runAsUser: 7 } },
    });
    assert.equal(coordinator.securityContext.fsGroup, 1);
    assert.equal(coordinator.securityContext.runAsNonRoot, true);
    assert.equal(coordinator.containers[0].securityContext.runAsUser, 7);
    assert.equal(coordinator.containers[0].securityContext.readOnlyRootFilesystem, true);
  });

  it("serves as the values say", async () => {
    const service = { type: "LoadBalancer", annotations: { x: "y" } };
    const rendered = await render({ coordinator: { service } });
    const { spec, metadata } = rendered.get("Service", "cutline-coordinator");
    assert.equal(spec.type, "LoadBalancer");
    assert.deepEqual(metadata.annotations, { x: "y" });
    assert.equal(rendered.get("Service", "cutline-agents").spec.type, "ClusterIP");
  });
});

describe("older clusters", () => {
  it("get what they know", async () => {
    const old = await render({}, { version: "1.25.0" });
    const budget = old.get("PodDisruptionBudget", "cutline-coordinator").spec;
    assert.equal(budget.unhealthyPodEvictionPolicy, undefined);
    assert.deepEqual(old.coordinator.containers[0].lifecycle.preStop, { exec: { command: ["sleep", "3"] } });
    for (const constraint of old.coordinator.topologySpreadConstraints)
      assert.equal(constraint.matchLabelKeys, undefined);
    const newer = await render({}, { version: "1.27.0" });
    assert.equal(
      newer.get("PodDisruptionBudget", "cutline-coordinator").spec.unhealthyPodEvictionPolicy,
      "AlwaysAllow",
    );
    assert.deepEqual(newer.coordinator.topologySpreadConstraints[0].matchLabelKeys, ["pod-template-hash"]);
  });

  it("that are too old are refused", async () => {
    await assert.rejects(render({}, { version: "1.19.0" }), /1\.20/);
  });
});

describe("the store", () => {
  it("is the bundled Redis, with a password of its own, on a volume that goes with the release", async () => {
    const rendered = await render();
    const { data } = rendered.get("Secret", "cutline-redis");
    const text = (key: string) => Buffer.from(data[key], "base64").toString();
    assert.match(text("password"), /^[A-Za-z0-9]{32}$/);
    assert.equal(text("url"), `redis://:${text("password")}@cutline-redis.system.svc:6379`);
    assert.equal(text("auth.conf"), `requirepass ${text("password")}\n`);
    assert.deepEqual(rendered.environment.get("CUTLINE_STORE_URL"), {
      secretKeyRef: { name: "cutline-redis", key: "url" },
    });
    const claim = rendered.get("PersistentVolumeClaim", "cutline-redis");
    assert.equal(claim.metadata.annotations, undefined);
    assert.equal(claim.spec.storageClassName, undefined);
    const { volumes } = rendered.get("StatefulSet", "cutline-redis").spec.template.spec;
    assert.deepEqual(volumes.at(-1), { name: "data", persistentVolumeClaim: { claimName: "cutline-redis" } });
  });

  it("keeps its volume, takes another one, or has none", async () => {
    const of = (persistence: Values) => render({ redis: { persistence } });
    const kept = (await of({ keep: true, storageClass: "fast", size: "1Gi" })).get(
      "PersistentVolumeClaim",
      "cutline-redis",
    );
    assert.deepEqual(kept.metadata.annotations, { "helm.sh/resource-policy": "keep" });
    assert.equal(kept.spec.storageClassName, "fast");
    assert.equal(kept.spec.resources.requests.storage, "1Gi");
    const other = await of({ existingClaim: "mine" });
    assert.deepEqual(other.names("PersistentVolumeClaim"), []);
    const volumeOf = (rendered: typeof other) =>
      rendered.get("StatefulSet", "cutline-redis").spec.template.spec.volumes.at(-1);
    assert.equal(volumeOf(other).persistentVolumeClaim.claimName, "mine");
    const none = await of({ enabled: false });
    assert.deepEqual(none.names("PersistentVolumeClaim"), []);
    assert.deepEqual(volumeOf(none), { name: "data", emptyDir: {} });
  });

  it("has a password that somebody else keeps", async () => {
    const rendered = await render({ redis: { existingSecret: "kept" } });
    assert.equal(rendered.find("Secret", "cutline-redis"), undefined);
    assert.deepEqual(rendered.environment.get("CUTLINE_STORE_URL"), { secretKeyRef: { name: "kept", key: "url" } });
  });

  it("is somebody else's Redis, and then there is none here", async () => {
    const rendered = await render({
      externalRedis: { existingSecret: "my-redis", urlKey: "dsn", topology: "cluster" },
    });
    assert.deepEqual(rendered.environment.get("CUTLINE_STORE_URL"), { secretKeyRef: { name: "my-redis", key: "dsn" } });
    assert.equal(rendered.environment.get("CUTLINE_STORE_TOPOLOGY"), "cluster");
    assert.deepEqual(
      rendered.names().filter((name) => name.includes("redis")),
      [],
    );
  });

  it("has to be said", async () => {
    await refusal({ redis: { enabled: false } }, /there is no store: set externalRedis\.existingSecret/);
  });
});

describe("the network", () => {
  it("lets in agents, callers of the namespace, and the API server", async () => {
    const rendered = await render();
    const [api, agents, webhook] = rendered.get("NetworkPolicy", "cutline-coordinator").spec.ingress;
    assert.deepEqual(api, { from: [{ podSelector: {} }], ports: [{ port: "http", protocol: "TCP" }] });
    assert.deepEqual(agents.from, [
      { namespaceSelector: {}, podSelector: { matchLabels: { "cutline.dev/inject": "true" } } },
    ]);
    assert.deepEqual(agents.ports.length, 2);
    assert.deepEqual(webhook, { ports: [{ port: "webhook", protocol: "TCP" }] });
    const redis = rendered.get("NetworkPolicy", "cutline-redis").spec;
    assert.deepEqual(redis.policyTypes, ["Ingress", "Egress"]);
    assert.equal(redis.ingress[0].from[0].podSelector.matchLabels["app.kubernetes.io/component"], "coordinator");
  });

  it("lets in whom the values name, and out where they say", async () => {
    const from = [{ namespaceSelector: { matchLabels: { team: "ops" } } }];
    const extra = [{ to: [{ ipBlock: { cidr: "10.0.0.0/8" } }] }];
    const networkPolicy = { apiFrom: from, agentsFrom: from, egress: { enabled: true, apiServerPorts: [8443], extra } };
    const { spec } = (await render({ networkPolicy })).get("NetworkPolicy", "cutline-coordinator");
    assert.deepEqual(spec.ingress[0].from, [{ podSelector: {} }, ...from]);
    assert.deepEqual(spec.ingress[1].from, from);
    assert.deepEqual(spec.policyTypes, ["Ingress", "Egress"]);
    assert.deepEqual(
      spec.egress[0].ports.map(({ port }: Values) => port),
      [53, 53, 8443],
    );
    assert.equal(spec.egress[1].to[0].podSelector.matchLabels["app.kubernetes.io/component"], "redis");
    assert.deepEqual(spec.egress[2], extra[0]);
    const without = (await render({ ...external, networkPolicy })).get("NetworkPolicy", "cutline-coordinator");
    assert.equal(without.spec.egress.length, 2);
  });

  it("is left alone", async () => {
    assert.deepEqual((await render({ networkPolicy: { enabled: false } })).names("NetworkPolicy"), []);
  });

  it("has no door for what is off", async () => {
    const off = await render({ injection: { enabled: false }, identity: { enabled: false } });
    const { ingress } = off.get("NetworkPolicy", "cutline-coordinator").spec;
    assert.equal(ingress.length, 2);
    assert.deepEqual(ingress[1].ports, [{ port: "agents", protocol: "TCP" }]);
    assert.equal(off.get("Service", "cutline-agents").spec.ports.length, 1);
    assert.deepEqual(
      off.coordinator.containers[0].ports.map(({ name }: Values) => name),
      ["http", "agents"],
    );
  });
});

describe("monitoring", () => {
  it("is not there until it is asked for", async () => {
    const rendered = await render();
    for (const kind of ["ServiceMonitor", "PodMonitor"]) assert.deepEqual(rendered.names(kind), []);
    assert.equal(rendered.find("ConfigMap", "cutline-dashboard"), undefined);
  });

  it("reads coordinators and agents, and brings the dashboard", async () => {
    const labels = { prometheus: "main" };
    const tokenSecret = { name: "metrics-token" };
    const rendered = await render({
      monitoring: {
        serviceMonitor: { enabled: true, labels, interval: "15s", tokenSecret },
        podMonitor: { enabled: true, labels },
        dashboard: { enabled: true, annotations: { folder: "Cutline" } },
      },
    });
    const service = rendered.get("ServiceMonitor", "cutline-coordinator");
    assert.equal(service.metadata.labels?.prometheus, "main");
    const authorization = { type: "Bearer", credentials: { name: "metrics-token", key: "token" } };
    assert.deepEqual(service.spec.endpoints, [{ port: "http", path: "/metrics", interval: "15s", authorization }]);
    const { spec } = rendered.get("PodMonitor", "cutline-agents");
    assert.deepEqual(spec.namespaceSelector, { any: true });
    assert.deepEqual(spec.podMetricsEndpoints, [{ port: "cutline-health", path: "/metrics", interval: "30s" }]);
    const dashboard = rendered.get("ConfigMap", "cutline-dashboard");
    assert.equal(dashboard.metadata.labels?.grafana_dashboard, "1");
    assert.deepEqual(dashboard.metadata.annotations, { folder: "Cutline" });
    assert.equal(JSON.parse(dashboard.data["cutline.json"]).title, "Cutline");
  });

  it("reads agents where they may be", async () => {
    const monitoring = { podMonitor: { enabled: true } };
    const { spec } = (await render({ monitoring, watchNamespaces: ["shop"] })).get("PodMonitor", "cutline-agents");
    assert.deepEqual(spec.namespaceSelector, { matchNames: ["shop"] });
  });
});

describe("helm test", () => {
  it("has a pod that asks the coordinator, unless told otherwise", async () => {
    const pod = (await render()).get("Pod", "cutline-test");
    assert.equal(pod.metadata.annotations?.["helm.sh/hook"], "test");
    assert.deepEqual((await render({ tests: { enabled: false } })).names("Pod"), []);
  });
});
