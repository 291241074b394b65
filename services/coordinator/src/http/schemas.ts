import { type TProperties, type TSchema, Type } from "@sinclair/typebox";

/** Named in the OpenAPI document under components/schemas. */
function named<Properties extends TProperties>($id: string, properties: Properties, description?: string) {
  return Type.Object(properties, { $id, ...(description !== undefined && { description }) });
}

const Count = Type.Integer({ minimum: 0 });
const Hash = Type.String({ pattern: "^([0-9a-f]{64})?$" });
const Labels = Type.Record(Type.String(), Type.String());
/** RFC 3339, or empty: not yet. */
const Time = Type.String({ description: "RFC 3339, UTC; empty: not yet." });

const Reason = named("Reason", { code: Type.String(), message: Type.String(), processId: Type.String() });

const NumberRange = named("NumberRange", { first: Count, last: Count }, "Closed range of frame numbers.");

const EnvironmentPeer = named("EnvironmentPeer", {
  authority: Type.String(),
  direction: Type.String({ description: "inbound or outbound, seen from the process." }),
  calls: Count,
  openCalls: Count,
});

const ProcessEntry = named("ProcessEntry", {
  id: Type.String({ description: "namespace/name" }),
  incarnation: Type.String(),
  phase: Type.String({ description: "Waiting, Cut, Stored or Lost." }),
  captureSource: Type.String({ description: "participant, http, file or none." }),
  exact: Type.Boolean(),
  reasons: Type.Array(Type.Ref("Reason")),
  pauseUs: Count,
  lockWaitUs: Count,
  contentType: Type.String(),
  stateBytes: Count,
  stateSha256: Hash,
  callsInProcess: Count,
  callsSha256: Hash,
  callsBytes: Count,
  environment: Type.Array(Type.Ref("EnvironmentPeer")),
  stored: Type.Boolean({ description: "False: outside of the scope, only cut." }),
});

const ChannelEntry = named("ChannelEntry", {
  id: Type.String(),
  from: Type.String(),
  to: Type.String(),
  sentAtCut: Count,
  markersSent: Count,
  markersSentSum: Count,
  markerNumber: Count,
  markersReceived: Count,
  markersReceivedSum: Count,
  deliveredAtCut: Count,
  deliveredSum: Count,
  deliveredMax: Count,
  recorded: Type.Array(Type.Ref("NumberRange")),
  recordedCount: Count,
  recordsBytes: Count,
  recordsSha256: Hash,
  outboxCount: Count,
  outboxBytes: Count,
  outboxSha256: Hash,
  messages: Count,
  verdict: Type.String(),
  senderReported: Type.Boolean(),
  receiverReported: Type.Boolean(),
});

const Certificate = named("Certificate", {
  verdict: Type.String({ description: "valid or invalid." }),
  channels: Count,
  violations: Type.Array(Type.Ref("Reason")),
  digest: Hash,
});

const AttemptEntry = named("AttemptEntry", {
  attempt: Count,
  reason: Type.String(),
  message: Type.String(),
  endedAt: Time,
});

const SnapshotProgress = named("SnapshotProgress", {
  processesTotal: Count,
  processesCut: Count,
  channelsTotal: Count,
  channelsClosed: Count,
  storedBytes: Count,
  inFlightMessages: Count,
});

const SnapshotScope = named("SnapshotScope", { namespaces: Type.Array(Type.String()), labelSelector: Labels });

export const phases = ["Pending", "Cutting", "Collecting", "Verifying", "Completed", "Failed", "Aborted"] as const;

const Snapshot = named("Snapshot", {
  id: Type.String(),
  phase: Type.Union(phases.map((phase) => Type.Literal(phase))),
  reason: Type.String({ description: "One word for programs; empty while all is well." }),
  message: Type.String(),
  attempt: Count,
  attemptsMax: Count,
  term: Count,
  labels: Labels,
  initiator: Type.String(),
  scope: Type.Optional(Type.Ref("SnapshotScope")),
  createdAt: Time,
  startedAt: Time,
  endedAt: Time,
  timeoutMs: Count,
  durationMs: Count,
  exact: Type.Boolean({ description: "Proven exact. Only meaningful when the phase is Completed." }),
  partial: Type.Boolean({ description: "Calls with peers without an agent were seen." }),
  reasons: Type.Array(Type.Ref("Reason")),
  progress: Type.Optional(Type.Ref("SnapshotProgress")),
  processes: Type.Array(Type.Ref("ProcessEntry")),
  channels: Type.Array(Type.Ref("ChannelEntry")),
  certificate: Type.Optional(Type.Ref("Certificate")),
  earlierAttempts: Type.Array(Type.Ref("AttemptEntry")),
  idempotencyKey: Type.String(),
});

const SnapshotList = named("SnapshotList", {
  snapshots: Type.Array(Type.Ref("Snapshot")),
  next: Type.Optional(Type.String({ description: "The cursor of the next page; absent on the last one." })),
});

const TopologyProcess = named("TopologyProcess", {
  id: Type.String(),
  incarnation: Type.String(),
  agentVersion: Type.String(),
  captureSource: Type.String(),
  authorities: Type.Array(Type.String()),
  labels: Labels,
  attachedAt: Type.String(),
  phase: Type.Union([Type.Literal("attached"), Type.Literal("detached")]),
  ready: Type.Boolean({ description: "Can be cut now." }),
  reasons: Type.Array(Type.Object({ code: Type.String(), message: Type.String() })),
});

const TopologyLink = named("TopologyLink", {
  id: Type.String(),
  a: Type.String(),
  b: Type.String(),
  phase: Type.Union([Type.Literal("connected"), Type.Literal("broken"), Type.Literal("closed")]),
  openCalls: Count,
});

const TopologyEnvironment = named("TopologyEnvironment", {
  process: Type.String(),
  authority: Type.String(),
  direction: Type.Union([Type.Literal("inbound"), Type.Literal("outbound")]),
  calls: Count,
  openCalls: Count,
});

const Discovery = Type.Object(
  {
    phase: Type.Union([Type.Literal("waiting"), Type.Literal("known")]),
    ageMs: Count,
    services: Count,
    endpointSlices: Count,
  },
  { description: "What is known of the cluster's Services; the API server was last heard ageMs ago." },
);

const Topology = named("Topology", {
  term: Count,
  discovery: Type.Optional(Discovery),
  processes: Type.Array(Type.Ref("TopologyProcess")),
  links: Type.Array(Type.Ref("TopologyLink")),
  environment: Type.Array(Type.Ref("TopologyEnvironment")),
});

const ProcessList = named("ProcessList", { processes: Type.Array(Type.Ref("TopologyProcess")) });

const Problem = named("Problem", {
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer({ minimum: 400, maximum: 599 }),
  detail: Type.String(),
  instance: Type.String(),
  code: Type.String({ description: "One CamelCase word for programs." }),
  errors: Type.Optional(
    Type.Array(Type.Object({ field: Type.String(), message: Type.String() }), { description: "What is not valid." }),
  ),
  reasons: Type.Optional(Type.Array(Type.String())),
});

export const snapshotSchemas: readonly TSchema[] = [
  Reason,
  NumberRange,
  EnvironmentPeer,
  ProcessEntry,
  ChannelEntry,
  Certificate,
  AttemptEntry,
  SnapshotProgress,
  SnapshotScope,
  Snapshot,
  SnapshotList,
  TopologyProcess,
  TopologyLink,
  TopologyEnvironment,
  Topology,
  ProcessList,
  Problem,
];
