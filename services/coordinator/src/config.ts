import {
  type ConfigOf,
  choice,
  defineConfig,
  flag,
  integer,
  list,
  logLevels,
  text,
  tlsSettings,
} from "@cutline/runtime";
import { defaultAgentsLimits } from "./agents/server.ts";
import { defaultDriverLimits } from "./driver/limits.ts";
import { accessModes, defaultAccessLimits } from "./kubernetes/access/limits.ts";
import { defaultIdentityLimits } from "./kubernetes/identity/limits.ts";
import { defaultControllerLimits } from "./kubernetes/limits.ts";
import { injectionSettings } from "./kubernetes/webhook/settings.ts";

const driver = defaultDriverLimits;
const agents = defaultAgentsLimits;
const controller = defaultControllerLimits;
const hourMs = 3_600_000;
const dnsName = { pattern: /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, patternDoc: "a DNS name" };
const dnsLabel = { pattern: /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, patternDoc: "a DNS label" };

/** Everything that can be set from outside. */
export const coordinatorConfig = defineConfig({
  logLevel: choice("CUTLINE_LOG_LEVEL", logLevels, { default: "info", doc: "What is logged." }),
  httpHost: text("CUTLINE_HTTP_HOST", { default: "127.0.0.1", doc: "Where the REST API listens." }),
  httpPort: integer("CUTLINE_HTTP_PORT", { default: 7400, max: 65_535, unit: "port", doc: "0: any free port." }),
  access: choice("CUTLINE_ACCESS", accessModes, {
    doc: "Who may call the REST API. open: everybody; tokens: by CUTLINE_ACCESS_TOKENS_FILE; kubernetes: tokens that the API server knows, by its RBAC. Not set: open on a loopback address, and no start on another one.",
  }),
  accessTokensFile: text("CUTLINE_ACCESS_TOKENS_FILE", {
    doc: "Lines of ROLE NAME TOKEN; a role is read, operate or admin, a token stands there itself or as sha256:HEX. Read again when it changes.",
  }),
  accessAudience: text("CUTLINE_ACCESS_AUDIENCE", {
    default: "cutline",
    doc: "For whom tokens of Kubernetes must be meant.",
  }),
  accessNamespace: text("CUTLINE_ACCESS_NAMESPACE", {
    ...dnsLabel,
    doc: "In which namespace RBAC must allow the call; not set: cluster-wide.",
  }),
  accessCacheMs: integer("CUTLINE_ACCESS_CACHE_MS", {
    default: defaultAccessLimits.cacheMs,
    max: 600_000,
    unit: "ms",
    doc: "How long the API server's yes to a token and to a call holds here.",
  }),
  agentsHost: text("CUTLINE_AGENTS_HOST", { default: "127.0.0.1", doc: "Where agents attach (gRPC)." }),
  agentsPort: integer("CUTLINE_AGENTS_PORT", { default: 7401, max: 65_535, unit: "port", doc: "0: any free port." }),
  ...tlsSettings,
  storeUrl: text("CUTLINE_STORE_URL", {
    default: "file:.cutline/coordinator.db",
    doc: "file:PATH for one machine; redis:, rediss: or redis+sentinel: URL for several.",
  }),
  storeTopology: choice("CUTLINE_STORE_TOPOLOGY", ["single", "cluster"], {
    default: "single",
    doc: "How the Redis servers behind the URL are arranged.",
  }),
  storeKeyPrefix: text("CUTLINE_STORE_KEY_PREFIX", { default: "cutline:", doc: "Stands before every Redis key." }),
  storeOperationTimeoutMs: integer("CUTLINE_STORE_OPERATION_TIMEOUT_MS", {
    default: 2_000,
    min: 50,
    unit: "ms",
    doc: "Bounds every operation of the store.",
  }),
  storeSizeBytesMax: integer("CUTLINE_STORE_SIZE_BYTES_MAX", {
    min: 1_048_576,
    unit: "bytes",
    doc: "The file of the embedded store grows no further; not set: the disk is the limit.",
  }),
  descriptorSetFile: text("CUTLINE_DESCRIPTOR_SET_FILE", {
    doc: "A serialized FileDescriptorSet: payloads of its methods are shown as JSON too.",
  }),
  concurrentMax: integer("CUTLINE_SNAPSHOTS_CONCURRENT_MAX", {
    default: driver.concurrentMax,
    min: 1,
    max: 16,
    doc: "Snapshots that run at a time.",
  }),
  minimumPauseMs: integer("CUTLINE_SNAPSHOTS_MINIMUM_PAUSE_MS", {
    default: driver.minimumPauseMs,
    unit: "ms",
    doc: "Between two starts.",
  }),
  timeoutMsDefault: integer("CUTLINE_SNAPSHOT_TIMEOUT_MS", {
    default: driver.timeoutMsDefault,
    min: 1_000,
    max: driver.timeoutMsMax,
    unit: "ms",
    doc: "How long a snapshot may take when its request does not say.",
  }),
  attemptsDefault: integer("CUTLINE_SNAPSHOT_ATTEMPTS", {
    default: driver.attemptsDefault,
    min: 1,
    max: driver.attemptsMax,
    doc: "How many attempts a snapshot has when its request does not say.",
  }),
  stateBytesMax: integer("CUTLINE_STATE_BYTES_MAX", {
    default: driver.stateBytesMax,
    min: 1,
    unit: "bytes",
    doc: "One part: the state of one process, or of one channel.",
  }),
  snapshotBytesMax: integer("CUTLINE_SNAPSHOT_BYTES_MAX", {
    default: driver.snapshotBytesMax,
    min: 1,
    unit: "bytes",
    doc: "All parts of one snapshot.",
  }),
  keepMax: integer("CUTLINE_KEEP_MAX", {
    default: driver.keepMax,
    min: 1,
    doc: "Ended snapshots that are kept; the oldest go first.",
  }),
  keepMs: integer("CUTLINE_KEEP_MS", {
    default: driver.keepMs,
    unit: "ms",
    doc: "Ended snapshots are removed at this age; 0: never.",
  }),
  leaseMs: integer("CUTLINE_LEASE_MS", {
    default: driver.leaseMs,
    min: 200,
    unit: "ms",
    doc: "How long a replica leads without renewing; another one takes over after this.",
  }),
  heartbeatMs: integer("CUTLINE_HEARTBEAT_MS", {
    default: agents.heartbeatMs,
    min: 20,
    unit: "ms",
    doc: "Between two heartbeats; an agent that misses four counts as detached.",
  }),
  graceMs: integer("CUTLINE_GRACE_MS", {
    default: agents.graceMs,
    unit: "ms",
    doc: "How long a detached process may take to come back before it counts as lost.",
  }),
  settleMs: integer("CUTLINE_SETTLE_MS", {
    default: driver.settleMs,
    unit: "ms",
    doc: "After a take-over: how long the directory and new attempts wait for the agents to come back.",
  }),
  agentsMax: integer("CUTLINE_AGENTS_MAX", { default: agents.agentsMax, min: 1, doc: "Agents attached at a time." }),
  kubernetes: flag("CUTLINE_KUBERNETES", {
    default: false,
    doc: "Works on the GlobalSnapshots and GlobalSnapshotSchedules of a cluster.",
  }),
  kubeconfig: text("CUTLINE_KUBERNETES_KUBECONFIG", {
    doc: "A kubeconfig file; not set: the pod's service account.",
  }),
  kubernetesServer: text("CUTLINE_KUBERNETES_SERVER", {
    default: "https://kubernetes.default.svc",
    pattern: /^https:\/\/[^\s/]+$/,
    patternDoc: "an https URL without a path",
    doc: "The API server, as a pod reaches it; a kubeconfig file names its own.",
  }),
  kubernetesServiceAccountFolder: text("CUTLINE_KUBERNETES_SERVICE_ACCOUNT_FOLDER", {
    default: "/var/run/secrets/kubernetes.io/serviceaccount",
    doc: "Where the pod's token, ca.crt and namespace are.",
  }),
  kubernetesNamespaces: list("CUTLINE_KUBERNETES_NAMESPACES", {
    ...dnsLabel,
    doc: "Whose objects are worked on; not set: those of all namespaces, which takes a ClusterRole.",
  }),
  kubernetesLeaseName: text("CUTLINE_KUBERNETES_LEASE_NAME", {
    ...dnsLabel,
    default: "cutline-coordinator",
    doc: "The Lease that the replicas share.",
  }),
  kubernetesLeaseNamespace: text("CUTLINE_KUBERNETES_LEASE_NAMESPACE", {
    ...dnsLabel,
    doc: "Where that Lease is; not set: the namespace of the pod, or of the kubeconfig's context.",
  }),
  kubernetesLeaseMs: integer("CUTLINE_KUBERNETES_LEASE_MS", {
    default: controller.leaseMs,
    min: 1_000,
    unit: "ms",
    doc: "How long that Lease holds without renewal; a replica with a higher term takes it at once.",
  }),
  kubernetesRelistMs: integer("CUTLINE_KUBERNETES_RELIST_MS", {
    default: controller.relistMs,
    min: 1_000,
    unit: "ms",
    doc: "Everything is listed anew so often, whatever the watch says.",
  }),
  kubernetesAlarmMs: integer("CUTLINE_KUBERNETES_ALARM_MS", {
    default: controller.alarmMs,
    min: 1_000,
    unit: "ms",
    doc: "The API server was not heard for so long: an error in the log.",
  }),
  discovery: flag("CUTLINE_DISCOVERY", {
    default: false,
    doc: "Authorities of processes come from the cluster's Services and EndpointSlices too, in CUTLINE_KUBERNETES_NAMESPACES.",
  }),
  clusterDomain: text("CUTLINE_CLUSTER_DOMAIN", {
    default: "cluster.local",
    pattern: /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/,
    patternDoc: "a DNS name in lower case, without a dot at its end",
    doc: "What the full names of the cluster's Services end with.",
  }),
  identity: flag("CUTLINE_IDENTITY", {
    default: false,
    doc: "Issues certificates to agents by their pods' tokens, and has its own from the same authority, which a Secret holds.",
  }),
  identityHost: text("CUTLINE_IDENTITY_HOST", {
    default: "127.0.0.1",
    doc: "Where agents ask for certificates (HTTPS).",
  }),
  identityPort: integer("CUTLINE_IDENTITY_PORT", {
    default: 7402,
    max: 65_535,
    unit: "port",
    doc: "0: any free port.",
  }),
  identityAudience: text("CUTLINE_IDENTITY_AUDIENCE", {
    default: "cutline",
    doc: "For whom the tokens of pods must be meant. Injected agents have tokens for cutline, whatever is set here.",
  }),
  identityTrustDomain: text("CUTLINE_IDENTITY_TRUST_DOMAIN", {
    default: "cutline",
    pattern: /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/,
    patternDoc: "a DNS name in lower case",
    doc: "What the names of the mesh begin with: spiffe://DOMAIN/process/NAMESPACE/POD.",
  }),
  identityNamespaces: list("CUTLINE_IDENTITY_NAMESPACES", {
    ...dnsLabel,
    doc: "Whose pods get certificates; not set: those of all namespaces.",
  }),
  identitySecret: text("CUTLINE_IDENTITY_SECRET", {
    ...dnsName,
    default: "cutline-authority",
    doc: "The Secret that holds the authority of the mesh. It must exist, empty or not.",
  }),
  identitySecretNamespace: text("CUTLINE_IDENTITY_SECRET_NAMESPACE", {
    ...dnsLabel,
    doc: "Where the Secrets are; not set: the namespace of the pod, or of the kubeconfig's context.",
  }),
  identityCertificateLifeMs: integer("CUTLINE_IDENTITY_CERTIFICATE_LIFE_MS", {
    default: 24 * hourMs,
    min: 5_000,
    max: 30 * 24 * hourMs,
    unit: "ms",
    doc: "How long a certificate lives; it is renewed at two thirds.",
  }),
  identityAuthorityLifeMs: integer("CUTLINE_IDENTITY_AUTHORITY_LIFE_MS", {
    default: 365 * 24 * hourMs,
    min: 20_000,
    max: 3_650 * 24 * hourMs,
    unit: "ms",
    doc: "How long an authority lives; the next one is announced when a third is left.",
  }),
  identityOverlapMs: integer("CUTLINE_IDENTITY_OVERLAP_MS", {
    default: 7 * 24 * hourMs,
    unit: "ms",
    doc: "How long an authority is believed before it issues: a pod may wait for its start as long.",
  }),
  identityRereadMs: integer("CUTLINE_IDENTITY_REREAD_MS", {
    default: defaultIdentityLimits.rereadMs,
    min: 100,
    unit: "ms",
    doc: "How often a replica reads the Secrets; nothing is issued by what was read five times as long ago.",
  }),
  identityClockSkewMs: integer("CUTLINE_IDENTITY_CLOCK_SKEW_MS", {
    default: defaultIdentityLimits.skewMs,
    max: 3_600_000,
    unit: "ms",
    doc: "How far clocks may differ: certificates begin this much earlier, and rotations wait for it.",
  }),
  webhook: flag("CUTLINE_WEBHOOK", {
    default: false,
    doc: "Serves the webhook that puts agents into pods.",
  }),
  webhookHost: text("CUTLINE_WEBHOOK_HOST", {
    default: "127.0.0.1",
    doc: "Where the API server calls the webhook (HTTPS).",
  }),
  webhookPort: integer("CUTLINE_WEBHOOK_PORT", { default: 7443, max: 65_535, unit: "port", doc: "0: any free port." }),
  webhookSecret: text("CUTLINE_WEBHOOK_SECRET", {
    ...dnsName,
    default: "cutline-webhook",
    doc: "The Secret that holds the authority of the webhook's certificate. It must exist, empty or not.",
  }),
  webhookConfiguration: text("CUTLINE_WEBHOOK_CONFIGURATION", {
    ...dnsName,
    doc: "The MutatingWebhookConfiguration whose caBundle is kept; not set: somebody else keeps it.",
  }),
  webhookDnsNames: list("CUTLINE_WEBHOOK_DNS_NAMES", {
    ...dnsName,
    doc: "What the API server calls the webhook by; not set: cutline-webhook.NAMESPACE.svc.",
  }),
  webhookCertificateFile: text("CUTLINE_WEBHOOK_CERTIFICATE_FILE", {
    doc: "PEM file of the webhook's certificate, where somebody else renews it (cert-manager): then no Secret is touched.",
  }),
  webhookKeyFile: text("CUTLINE_WEBHOOK_KEY_FILE", { doc: "PEM file of the private key of that certificate." }),
  ...injectionSettings,
  stopGraceMs: integer("CUTLINE_STOP_GRACE_MS", {
    default: 10_000,
    unit: "ms",
    doc: "How long stopping may take after SIGTERM.",
  }),
});

export type CoordinatorConfig = ConfigOf<typeof coordinatorConfig>;
