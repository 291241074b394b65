import type { Violation } from "../certificate.ts";
import type { ChannelId, ProcessId } from "../cut/state.ts";
import { describeMissing, isSettled, missingOf, nothingMissing } from "./completion.ts";
import { dropParts, end, persist } from "./ending.ts";
import type { SnapshotEffect } from "./messages.ts";
import { evidenceOf, prove } from "./proof.ts";
import { deadlineMs, type Member, memberOf, refOf, type SnapshotState } from "./state.ts";

/** Reasons that another attempt would meet again. */
const finalReasons: ReadonlySet<string> = new Set(["StateTooLarge", "EvidenceTooLarge"]);

const violationsNamedMax = 5;

/** Begins the attempt, not before its time, as soon as some process is attached and none is in its grace period. */
export function tryStart(state: SnapshotState, effects: SnapshotEffect[]): void {
  if (state.nowMs < state.notBeforeMs) return;
  const entries = [...state.roster.values()];
  if (entries.length === 0 || entries.some(({ detachedAtMs }) => detachedAtMs !== undefined)) return;
  if (state.attemptRecorded < state.attempt) {
    state.stage = "recordingAttempt";
    persist(state, effects);
    return;
  }
  launch(state, effects);
}

/**
 * The members are the processes attached now, and those that attach while not all have cut. A last attempt may use all
 * the time there is; an earlier one may stand still for its even share of the time left, and no longer.
 */
export function launch(state: SnapshotState, effects: SnapshotEffect[]): void {
  const attached = [...state.roster.values()].filter(({ detachedAtMs }) => detachedAtMs === undefined);
  if (attached.length === 0) {
    state.stage = "waiting";
    return;
  }
  const attemptsLeft = state.spec.attemptsMax - state.attempt + 1;
  const share = (deadlineMs(state) - state.nowMs) / attemptsLeft;
  state.stage = "cutting";
  state.startedAtMs ??= state.nowMs;
  state.attemptStartedAtMs = state.nowMs;
  state.progressAtMs = state.nowMs;
  state.stallMs = attemptsLeft > 1 ? Math.max(state.policy.stallMsMin, share) : undefined;
  state.members = new Map(attached.map(({ facts }) => [facts.id, memberOf(state, facts)]));
  effects.push({
    type: "note",
    level: "info",
    event: "attemptStarted",
    fields: { attempt: state.attempt, processes: attached.length },
  });
  for (const member of state.members.values()) {
    if (state.spec.initiator === "" || state.spec.initiator === member.facts.id) ask(state, member, effects);
  }
}

/** Markers reach only what is connected; the rest is asked, so that the picture is whole. */
export function askTheUnreached(state: SnapshotState, effects: SnapshotEffect[]): void {
  if (state.nowMs < state.attemptStartedAtMs + state.policy.initiatorGraceMs) return;
  for (const member of state.members.values()) {
    if (!member.asked && member.cut === undefined) ask(state, member, effects);
  }
}

function ask(state: SnapshotState, member: Member, effects: SnapshotEffect[]): void {
  member.asked = true;
  effects.push({
    type: "sendStart",
    processId: member.facts.id,
    ref: refOf(state),
    remainingMs: Math.max(0, deadlineMs(state) - state.nowMs),
    store: member.store,
  });
}

/** Moves on when what the attempt waits for is there. */
export function advance(state: SnapshotState, effects: SnapshotEffect[]): void {
  if (state.stage === "cutting" && [...state.members.values()].every(({ cut }) => cut !== undefined)) {
    state.stage = "collecting";
    effects.push({ type: "note", level: "info", event: "allCut", fields: { attempt: state.attempt } });
  }
  if (state.stage === "collecting" && nothingMissing(missingOf(state))) certify(state, effects);
}

function certify(state: SnapshotState, effects: SnapshotEffect[]): void {
  const { verdict, violations } = prove(state, evidenceOf(state));
  if (verdict === "invalid") {
    state.violations = violations;
    const absent = absentEnds(state, violations);
    if (absent.length > 0) {
      failAttempt(state, "ProcessMissing", `${absent.join(", ")} took part and had not attached`, effects);
      expect(state, absent);
      return;
    }
    const first = violations.slice(0, violationsNamedMax).map(({ code, message }) => `${code}: ${message}`);
    failAttempt(state, "CertificateInvalid", `${violations.length} violations: ${first.join("; ")}`, effects);
    return;
  }
  state.certified = true;
  state.stage = "verifying";
  effects.push(
    { type: "note", level: "info", event: "certificateValid", fields: { attempt: state.attempt } },
    { type: "verifyParts", ref: refOf(state), parts: [...state.parts.values()] },
  );
}

/** Processes that are no members and at whose channels everything is that is wrong. */
function absentEnds(state: SnapshotState, violations: readonly Violation[]): ProcessId[] {
  const byChannel = new Map<ChannelId, ProcessId>();
  for (const { cut } of state.members.values()) {
    for (const { channelId, to } of cut?.outgoing ?? []) byChannel.set(channelId, to);
  }
  for (const { channelId, from, receiver } of state.closed.values()) {
    // Ends that contradict each other are no matter of who is there.
    if (!byChannel.has(channelId)) byChannel.set(channelId, from);
    else if (byChannel.get(channelId) !== receiver) return [];
  }
  const absent = new Set<ProcessId>();
  for (const { channelId } of violations) {
    const other = byChannel.get(channelId);
    if (other === undefined || state.members.has(other)) return [];
    absent.add(other);
  }
  return [...absent].sort();
}

/** Another attempt waits for them as for processes that are detached: until they attach, or the grace period is over. */
function expect(state: SnapshotState, ids: readonly ProcessId[]): void {
  for (const id of ids) {
    if (state.roster.has(id)) continue;
    const facts = { id, incarnation: "", captureSource: "", labels: {} };
    state.roster.set(id, { facts, detachedAtMs: state.nowMs });
  }
}

/** The next attempt follows, after a pause, while attempts and time are left. */
export function failAttempt(state: SnapshotState, reason: string, message: string, effects: SnapshotEffect[]): void {
  const { attempt } = state;
  effects.push({
    type: "note",
    level: "warn",
    event: "attemptFailed",
    fields: { attempt, reason, reasonMessage: message },
  });
  state.certified = false;
  if (attempt >= state.spec.attemptsMax || state.nowMs >= deadlineMs(state) || finalReasons.has(reason)) {
    end(state, "Failed", reason, message, effects);
    return;
  }
  state.earlierAttempts.push({ attempt, reason, message, endedAtMs: state.nowMs });
  effects.push({ type: "sendEnd", ref: refOf(state), phase: "Failed", reason });
  dropParts(state, attempt, effects);
  const pauseMs = Math.min(state.policy.attemptPauseMs * 2 ** (attempt - 1), (deadlineMs(state) - state.nowMs) / 2);
  state.notBeforeMs = Math.max(state.notBeforeMs, state.nowMs + pauseMs);
  state.attempt = attempt + 1;
  state.members = new Map();
  state.closed = new Map();
  state.parts = new Map();
  state.violations = [];
  state.listed = { outgoing: 0, incoming: 0, ranges: 0 };
  state.stage = "waiting";
}

export function loseMember(
  state: SnapshotState,
  id: ProcessId,
  incarnation: string,
  how: string,
  effects: SnapshotEffect[],
): void {
  if (state.stage !== "cutting" && state.stage !== "collecting") return;
  const member = state.members.get(id);
  if (member === undefined || member.facts.incarnation !== incarnation || isSettled(state, member)) return;
  member.lost = true;
  failAttempt(state, "ProcessLost", `process ${id} (incarnation ${incarnation}) ${how}`, effects);
}

export function checkStall(state: SnapshotState, effects: SnapshotEffect[]): void {
  if (state.stallMs === undefined || state.nowMs < state.progressAtMs + state.stallMs) return;
  const stood = Math.round(state.nowMs - state.progressAtMs);
  failAttempt(state, "AttemptTimeout", `stood still for ${stood} ms: ${describeMissing(state)}`, effects);
}
