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
import { defaultControllerLimits } from "./kubernetes/limits.ts";

const driver = defaultDriverLimits;
const agents = defaultAgentsLimits;
const controller = defaultControllerLimits;
const dnsLabel = { pattern: /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, patternDoc: "a DNS label" };

/** Everything that can be set from outside. */
export const coordinatorConfig = defineConfig({
  logLevel: choice("CUTLINE_LOG_LEVEL", logLevels, { default: "info", doc: "What is logged." }),
  httpHost: text("CUTLINE_HTTP_HOST", { default: "127.0.0.1", doc: "Where the REST API listens." }),
  httpPort: integer("CUTLINE_HTTP_PORT", { default: 7400, max: 65_535, unit: "port", doc: "0: any free port." }),
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
    min: 100,
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
  stopGraceMs: integer("CUTLINE_STOP_GRACE_MS", {
    default: 10_000,
    unit: "ms",
    doc: "How long stopping may take after SIGTERM.",
  }),
});

export type CoordinatorConfig = ConfigOf<typeof coordinatorConfig>;
