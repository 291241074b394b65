import { certificateText, checkChannel } from "../certificate.ts";
import { awaitedChannels } from "./completion.ts";
import { type EnvironmentFacts, partName, type ReasonFacts } from "./evidence.ts";
import { evidenceOf } from "./proof.ts";
import type { SnapshotSpec } from "./spec.ts";
import { type EarlierAttempt, type Member, phaseOf, type SnapshotPhase, type SnapshotState } from "./state.ts";

/** The published document with times in milliseconds, and without what only the shell knows (term, digest). */
export interface SnapshotDocument {
  readonly spec: SnapshotSpec;
  readonly phase: SnapshotPhase;
  readonly reason: string;
  readonly message: string;
  readonly attempt: number;
  readonly startedAtMs: number | undefined;
  readonly endedAtMs: number | undefined;
  readonly exact: boolean;
  readonly partial: boolean;
  readonly reasons: ReasonFacts[];
  readonly progress: ProgressDocument;
  readonly processes: ProcessDocument[];
  readonly channels: ChannelDocument[];
  readonly certificate: CertificateDocument | undefined;
  readonly earlierAttempts: EarlierAttempt[];
}

export interface ProgressDocument {
  processesTotal: number;
  processesCut: number;
  channelsTotal: number;
  channelsClosed: number;
  storedBytes: number;
  inFlightMessages: number;
}

export interface ProcessDocument {
  id: string;
  incarnation: string;
  /** Waiting, Cut, Stored or Lost. */
  phase: string;
  captureSource: string;
  exact: boolean;
  reasons: ReasonFacts[];
  pauseUs: number;
  lockWaitUs: number;
  contentType: string;
  stateBytes: number;
  stateSha256: string;
  callsInProcess: number;
  callsSha256: string;
  callsBytes: number;
  environment: EnvironmentFacts[];
  stored: boolean;
}

export interface ChannelDocument {
  id: string;
  from: string;
  to: string;
  sentAtCut: number;
  markersSent: number;
  markersSentSum: number;
  markerNumber: number;
  markersReceived: number;
  markersReceivedSum: number;
  deliveredAtCut: number;
  deliveredSum: number;
  deliveredMax: number;
  recorded: { first: number; last: number }[];
  recordedCount: number;
  recordsBytes: number;
  recordsSha256: string;
  outboxCount: number;
  outboxBytes: number;
  outboxSha256: string;
  messages: number;
  /** `consistent`, the codes of what is wrong, or empty before anything was checked. */
  verdict: string;
  senderReported: boolean;
  receiverReported: boolean;
}

export interface CertificateDocument {
  verdict: "valid" | "invalid";
  channels: number;
  violations: ReasonFacts[];
  digest: string;
}

/** The document as things stand. */
export function documentOf(state: SnapshotState): SnapshotDocument {
  const members = [...state.members.values()];
  const channels = channelDocuments(state);
  const phase = phaseOf(state);
  return {
    spec: state.spec,
    phase,
    reason: state.end?.reason ?? "",
    message: state.end?.message ?? "",
    attempt: state.attempt,
    startedAtMs: state.startedAtMs,
    endedAtMs: state.end?.atMs,
    exact: state.certified && members.every(({ cut }) => cut?.exact === true),
    partial: members.some(({ cut }) => (cut?.environment.length ?? 0) > 0),
    reasons: reasonsOf(state, members),
    progress: progressOf(state, members, channels),
    processes: members.map((member) => processDocument(state, member)),
    channels,
    certificate: certificateOf(state, channels.length),
    earlierAttempts: [...state.earlierAttempts],
  };
}

/** The document that a publication writes: as things stand, but Completed. */
export function completedDocument(state: SnapshotState): { document: SnapshotDocument; certificateText: string } {
  return {
    document: { ...documentOf(state), phase: "Completed", reason: "", message: "", endedAtMs: state.nowMs },
    certificateText: certificateText(evidenceOf(state)),
  };
}

function reasonsOf(state: SnapshotState, members: readonly Member[]): ReasonFacts[] {
  const reasons: ReasonFacts[] = [];
  for (const { facts, cut } of members) {
    if (cut === undefined) continue;
    if (!cut.exact && cut.reasons.length === 0) {
      reasons.push({
        code: "NotExact",
        message: "the capture was not exact; no reason was given",
        processId: facts.id,
      });
    }
    for (const reason of cut.reasons) reasons.push({ ...reason, processId: facts.id });
    for (const { authority, direction } of cut.environment) {
      reasons.push({
        code: "EnvironmentPeer",
        message: `${direction} calls with ${authority}, which has no agent, are not in the picture`,
        processId: facts.id,
      });
    }
  }
  return reasons.slice(0, state.policy.reasonsMax);
}

function progressOf(state: SnapshotState, members: readonly Member[], channels: ChannelDocument[]): ProgressDocument {
  const all = new Set([...awaitedChannels(state), ...state.closed.keys()]);
  let storedBytes = 0;
  for (const part of state.parts.values()) storedBytes += part.sizeBytes;
  return {
    processesTotal: members.length,
    processesCut: members.filter(({ cut }) => cut !== undefined).length,
    channelsTotal: all.size,
    channelsClosed: state.closed.size,
    storedBytes,
    // Each is below 2^49, and there may be many: a document has safe integers alone.
    inFlightMessages: Math.min(
      Number.MAX_SAFE_INTEGER,
      channels.reduce((sum, channel) => sum + channel.messages, 0),
    ),
  };
}

function processDocument(state: SnapshotState, member: Member): ProcessDocument {
  const { facts, cut } = member;
  const local = state.parts.get(partName("local", facts.id));
  const calls = state.parts.get(partName("calls", facts.id));
  return {
    id: facts.id,
    incarnation: facts.incarnation,
    phase: member.lost ? "Lost" : cut === undefined ? "Waiting" : local === undefined ? "Cut" : "Stored",
    captureSource: facts.captureSource,
    exact: cut?.exact ?? false,
    reasons: [...(cut?.reasons ?? [])],
    pauseUs: cut?.pauseUs ?? 0,
    lockWaitUs: cut?.lockWaitUs ?? 0,
    contentType: local?.contentType ?? "",
    stateBytes: local?.sizeBytes ?? 0,
    stateSha256: local?.sha256 ?? "",
    callsInProcess: cut?.callsInProcess ?? 0,
    callsSha256: calls?.sha256 ?? "",
    callsBytes: calls?.sizeBytes ?? 0,
    environment: [...(cut?.environment ?? [])],
    stored: member.store,
  };
}

function channelDocuments(state: SnapshotState): ChannelDocument[] {
  const checked = state.certified || state.violations.length > 0;
  const outboxes = new Map(
    [...state.members.values()].flatMap(({ cut }) => (cut?.outgoing ?? []).map((sent) => [sent.channelId, sent])),
  );
  return evidenceOf(state).map((evidence) => {
    const records = state.parts.get(partName("channel", evidence.id));
    const outbox = state.parts.get(partName("outbox", evidence.id));
    const sent = outboxes.get(evidence.id);
    const wrong = checked ? checkChannel(evidence).map(({ code }) => code) : [];
    return {
      ...evidence,
      recorded: evidence.recorded.map(({ first, last }) => ({ first, last })),
      recordsBytes: records?.sizeBytes ?? 0,
      recordsSha256: records?.sha256 ?? "",
      outboxCount: sent?.outboxCount ?? 0,
      outboxBytes: outbox?.sizeBytes ?? 0,
      outboxSha256: outbox?.sha256 ?? "",
      messages: (state.closed.get(evidence.id)?.messages ?? 0) + (sent?.outboxMessages ?? 0),
      verdict: checked ? (wrong.length === 0 ? "consistent" : wrong.join(",")) : "",
    };
  });
}

function certificateOf(state: SnapshotState, channels: number): CertificateDocument | undefined {
  if (!state.certified && state.violations.length === 0) return undefined;
  return {
    verdict: state.certified ? "valid" : "invalid",
    channels,
    violations: state.violations
      .slice(0, state.policy.reasonsMax)
      .map(({ code, message }) => ({ code, message, processId: "" })),
    digest: "",
  };
}
