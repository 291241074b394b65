import type { Values } from "./helm.ts";

/** Values that between them take every branch of every template. */
export const variants: Readonly<Record<string, Values>> = {
  defaults: {},
  "one of everything": {
    global: { imagePullSecrets: [{ name: "pull" }] },
    commonLabels: { team: "ops" },
    watchNamespaces: ["shop", "bank"],
    coordinator: {
      settings: { CUTLINE_KEEP_MAX: 7 },
      extraEnv: [{ name: "TZ", value: "UTC" }],
      extraEnvFrom: [{ secretRef: { name: "more", optional: true } }],
      extraVolumes: [{ name: "more", emptyDir: {} }],
      extraVolumeMounts: [{ name: "more", mountPath: "/more" }],
      podAnnotations: { a: "b" },
      podLabels: { c: "d" },
      podSecurityContext: { supplementalGroups: [7] },
      nodeSelector: { disk: "fast" },
      tolerations: [{ key: "infra", operator: "Exists" }],
      affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
      topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "rack", whenUnsatisfiable: "DoNotSchedule" }],
      priorityClassName: "high",
      service: { type: "NodePort", annotations: { a: "b" } },
    },
    serviceAccount: { annotations: { a: "b" } },
    access: { mode: "tokens", tokensSecret: "people" },
    injection: {
      failurePolicy: "Ignore",
      reinvocationPolicy: "Never",
      namespaceSelector: { matchLabels: { mesh: "on" }, matchExpressions: [{ key: "x", operator: "Exists" }] },
      objectSelector: { matchExpressions: [{ key: "cutline.dev/inject", operator: "NotIn", values: ["false"] }] },
      annotations: { a: "b" },
      agent: { traffic: "redirect", outboundPorts: [9000], noProxy: ["x"], clients: ["go"] },
    },
    certManager: { enabled: true },
    redis: {
      persistence: { keep: true, storageClass: "fast" },
      podAnnotations: { a: "b" },
      nodeSelector: { disk: "fast" },
      tolerations: [{ operator: "Exists" }],
      priorityClassName: "low",
    },
    networkPolicy: {
      apiFrom: [{ namespaceSelector: { matchLabels: { team: "ops" } } }],
      agentsFrom: [{ namespaceSelector: {} }],
      egress: { enabled: true, extra: [{ to: [{ ipBlock: { cidr: "10.0.0.0/8" } }] }] },
    },
    monitoring: {
      serviceMonitor: { enabled: true, tokenSecret: { name: "t" } },
      podMonitor: { enabled: true },
      dashboard: { enabled: true, annotations: { a: "b" } },
    },
  },
  "as little as can be": {
    coordinator: { replicas: 1, preStopSeconds: 0 },
    rbac: { create: false },
    serviceAccount: { create: false, name: "mine" },
    access: { mode: "open" },
    identity: { enabled: false },
    injection: { enabled: false },
    discovery: { enabled: false },
    externalRedis: { existingSecret: "my-redis" },
    networkPolicy: { enabled: false },
    tests: { enabled: false },
  },
  "others' certificates, claim and password": {
    certManager: { enabled: true, issuerRef: { name: "corporate", kind: "ClusterIssuer", group: "cert-manager.io" } },
    redis: { existingSecret: "kept", persistence: { existingClaim: "mine" } },
    monitoring: { serviceMonitor: { enabled: true }, podMonitor: { enabled: true } },
  },
  "no volume": { redis: { persistence: { enabled: false } }, access: { namespace: "shop" } },
};

export const versions = ["1.25.0", "1.29.0", "1.34.0"] as const;
