import { type ConfigOf, choice, defineConfig, integer, list, logLevels, text, tlsSettings } from "@cutline/runtime";
import { readinessRules } from "./admin/readiness.ts";
import { defaultCaptureLimits } from "./capture/limits.ts";
import { defaultCallLimits } from "./dataplane/call/call-host.ts";
import { defaultLinkLimits } from "./dataplane/link/link.ts";
import { defaultMeshLimits } from "./dataplane/link/mesh.ts";

const capture = defaultCaptureLimits;
const call = defaultCallLimits;
const link = defaultLinkLimits;
const mesh = defaultMeshLimits;

/** Everything that can be set from outside. */
export const agentConfig = defineConfig({
  logLevel: choice("CUTLINE_LOG_LEVEL", logLevels, { default: "info", doc: "What is logged." }),
  processId: text("CUTLINE_PROCESS_ID", {
    required: true,
    doc: "namespace/name of the process this agent stands beside, in lower case.",
  }),
  labels: list("CUTLINE_LABELS", { default: [], doc: "key=value pairs that scopes of snapshots can select by." }),
  coordinatorAddress: text("CUTLINE_COORDINATOR_ADDRESS", {
    default: "127.0.0.1:7401",
    doc: "host:port where the coordinator serves agents.",
  }),
  applicationAddress: text("CUTLINE_APPLICATION_ADDRESS", {
    required: true,
    doc: "host:port where the application serves gRPC without TLS.",
  }),
  captureSource: text("CUTLINE_CAPTURE", {
    default: "none",
    doc: "Where the state comes from: participant (exact), http://HOST:PORT/PATH, file:///PATH, or none (stateless).",
  }),
  authorities: list("CUTLINE_AUTHORITIES", {
    default: [],
    doc: "host:port names under which clients dial this process.",
  }),
  outboundHost: text("CUTLINE_OUTBOUND_HOST", {
    default: "127.0.0.1",
    doc: "Where the application reaches this agent (grpc_proxy); of several addresses, those that this machine has.",
  }),
  outboundPort: integer("CUTLINE_OUTBOUND_PORT", {
    default: 15_001,
    max: 65_535,
    unit: "port",
    doc: "0: any free port.",
  }),
  inboundHost: text("CUTLINE_INBOUND_HOST", {
    default: "127.0.0.1",
    doc: "Where callers without an agent reach the application; of several addresses, those that this machine has.",
  }),
  inboundPort: integer("CUTLINE_INBOUND_PORT", {
    default: 15_006,
    max: 65_535,
    unit: "port",
    doc: "0: any free port.",
  }),
  traffic: choice("CUTLINE_TRAFFIC", ["env", "redirect"], {
    doc: "What leads calls to this agent. env: clients' settings, so callers may pass it by on their way in, and it looks for their connections; redirect: rules of the network. Not set: nothing is looked for.",
  }),
  linkHost: text("CUTLINE_LINK_HOST", { default: "127.0.0.1", doc: "Where other agents reach this one." }),
  linkPort: integer("CUTLINE_LINK_PORT", { default: 15_008, max: 65_535, unit: "port", doc: "0: any free port." }),
  linkAdvertisedHost: text("CUTLINE_LINK_ADVERTISED_HOST", {
    doc: "The host that other agents dial; not set: CUTLINE_LINK_HOST.",
  }),
  adminHost: text("CUTLINE_ADMIN_HOST", {
    default: "127.0.0.1",
    doc: "Where the agent serves its own page: metrics, health, readiness, links, open calls. It asks for no password.",
  }),
  adminPort: integer("CUTLINE_ADMIN_PORT", { default: 15_000, max: 65_535, unit: "port", doc: "0: any free port." }),
  healthHost: text("CUTLINE_HEALTH_HOST", {
    doc: "Where the kubelet and scrapers find /livez, /readyz and /metrics, and nothing else; not set: nowhere.",
  }),
  healthPort: integer("CUTLINE_HEALTH_PORT", { default: 15_020, max: 65_535, unit: "port", doc: "0: any free port." }),
  readiness: choice("CUTLINE_READINESS", readinessRules, {
    default: "serving",
    doc: "What /readyz asks for: serving (this process can serve) or strict (every link and the coordinator are up, too).",
  }),
  spansUrl: text("CUTLINE_SPANS_URL", {
    pattern: /https?:\/\/.+/,
    patternDoc: "a URL with http or https",
    doc: "Where spans of calls with a sampled traceparent go, as OTLP over HTTP with JSON (http://HOST:4318/v1/traces); not set: none are made.",
  }),
  ...tlsSettings,
  identityUrl: text("CUTLINE_IDENTITY_URL", {
    pattern: /^https:\/\/[^\s/]+$/,
    patternDoc: "an https URL without a path",
    doc: "Where the coordinator issues certificates by the pod's token; not set: certificates come from the TLS files, or there are none.",
  }),
  identityTokenFile: text("CUTLINE_IDENTITY_TOKEN_FILE", {
    default: "/var/run/cutline/token/token",
    doc: "The pod's own token, meant for the coordinator (projected service account token).",
  }),
  identityFolder: text("CUTLINE_IDENTITY_FOLDER", {
    default: "/var/run/cutline/identity",
    doc: "Where the agent keeps certificate, key and authorities; nobody else should read it.",
  }),
  identityAuthorities: text("CUTLINE_IDENTITY_AUTHORITIES", {
    charsMax: 65_536,
    doc: "PEM of the authorities that are believed at first; later ones come with each certificate.",
  }),
  identityWaitMs: integer("CUTLINE_IDENTITY_WAIT_MS", {
    default: 120_000,
    unit: "ms",
    doc: "How long the start waits for a certificate before the agent ends.",
  }),
  directoryWaitMs: integer("CUTLINE_DIRECTORY_WAIT_MS", {
    default: 2_000,
    unit: "ms",
    doc: "At start-up, how long calls wait for the coordinator's directory before they go on without it.",
  }),
  captureTimeoutMs: integer("CUTLINE_CAPTURE_TIMEOUT_MS", {
    default: capture.captureTimeoutMs,
    min: 10,
    unit: "ms",
    doc: "How long a capture may hold the traffic before it is given up.",
  }),
  settleTimeoutMs: integer("CUTLINE_SETTLE_TIMEOUT_MS", {
    default: capture.settleTimeoutMs,
    min: 10,
    unit: "ms",
    doc: "How long an exact cut waits for what the application has sent to come out of its sockets.",
  }),
  drainTimeoutMs: integer("CUTLINE_DRAIN_TIMEOUT_MS", {
    default: capture.drainTimeoutMs,
    unit: "ms",
    doc: "Boundary capture: how long calls in process may take to finish before each try.",
  }),
  guardMs: integer("CUTLINE_GUARD_MS", {
    default: capture.guardMs,
    unit: "ms",
    doc: "Boundary capture: how long nothing may cross after the state was read.",
  }),
  stateBytesMax: integer("CUTLINE_STATE_BYTES_MAX", {
    default: capture.stateBytesMax,
    min: 1,
    unit: "bytes",
    doc: "Largest local state.",
  }),
  stateMemoryBytesMax: integer("CUTLINE_STATE_MEMORY_BYTES_MAX", {
    default: capture.stateMemoryBytesMax,
    unit: "bytes",
    doc: "Of one local state, until it is uploaded; what is over goes to a temporary file.",
  }),
  recordedBytesMax: integer("CUTLINE_RECORDED_BYTES_MAX", {
    default: capture.recordedBytesMax,
    min: 1_024,
    unit: "bytes",
    doc: "Frames kept for channel states, all snapshots together; beyond it the snapshot is given up.",
  }),
  messageBytesMax: integer("CUTLINE_MESSAGE_BYTES_MAX", {
    default: call.messageBytesMax,
    min: 1_024,
    unit: "bytes",
    doc: "Largest message of a call; a larger one is answered RESOURCE_EXHAUSTED.",
  }),
  unacknowledgedBytesMax: integer("CUTLINE_LINK_UNACKNOWLEDGED_BYTES_MAX", {
    default: link.unacknowledgedBytesMax,
    min: 1_048_576,
    unit: "bytes",
    doc: "Kept on one link until the peer has acknowledged it; beyond it calls wait.",
  }),
  openCallsMax: integer("CUTLINE_LINK_OPEN_CALLS_MAX", {
    default: link.openCallsMax,
    min: 1,
    doc: "Calls open on one link; more are answered RESOURCE_EXHAUSTED.",
  }),
  headerBytesMax: integer("CUTLINE_LINK_HEADER_BYTES_MAX", {
    default: link.headerBytesMax,
    min: 1_048_576,
    unit: "bytes",
    doc: "Header blocks of one link that are kept for the application; from half of it on calls are answered RESOURCE_EXHAUSTED.",
  }),
  inboundBytesMax: integer("CUTLINE_INBOUND_BYTES_MAX", {
    default: link.inboundBytesMax,
    min: 1_048_576,
    unit: "bytes",
    doc: "Kept for the application, of all links; beyond it senders get no credit and new calls RESOURCE_EXHAUSTED.",
  }),
  http2HeldBytesMax: integer("CUTLINE_HTTP2_HELD_BYTES_MAX", {
    default: 256 * 1024 * 1024,
    min: 1_048_576,
    unit: "bytes",
    doc: "What HTTP/2 connections hold together, towards the application and callers without an agent; beyond it the connection that holds the most is closed (of the agent's own, its largest calls are reset).",
  }),
  resumeTimeoutMs: integer("CUTLINE_LINK_RESUME_TIMEOUT_MS", {
    default: mesh.resumeTimeoutMs,
    unit: "ms",
    doc: "How long a broken link is kept for a resume.",
  }),
  stopGraceMs: integer("CUTLINE_STOP_GRACE_MS", {
    default: 10_000,
    unit: "ms",
    doc: "After SIGTERM, how long open calls and running snapshots have to finish.",
  }),
});

export type AgentConfig = ConfigOf<typeof agentConfig>;
