import { askTheUnreached, checkStall, failAttempt, launch, loseMember, tryStart } from "./attempt.ts";
import {
  end,
  exceedDeadline,
  onFinalWrite,
  onPublication,
  onReadBack,
  own,
  persist,
  publish,
  retryFinal,
  supersede,
  vanish,
} from "./ending.ts";
import type { RosterProcess, SnapshotEffect, SnapshotInput, SnapshotStep, WriteOutcome } from "./messages.ts";
import { onCaptureFailed, onClosed, onCut, onPartStored, reporter } from "./reports.ts";
import type { ProcessFacts } from "./spec.ts";
import { deadlineMs, memberOf, refOf, type SnapshotState } from "./state.ts";

/**
 * One snapshot's life. Deterministic; changes `state` in place and returns it. Never throws: what makes no sense where
 * the snapshot stands changes nothing. The deadline is looked at before the input, so nothing late is counted.
 */
export function stepSnapshot(state: SnapshotState, input: SnapshotInput): SnapshotStep {
  const effects: SnapshotEffect[] = [];
  if (state.stage === "ended") return { state, effects };
  state.nowMs = Math.max(state.nowMs, input.nowMs);
  if (isBeforePublication(state) && state.nowMs >= deadlineMs(state)) exceedDeadline(state, effects);
  apply(state, input, effects);
  passTime(state, effects);
  return { state, effects: effects.sort((a, b) => rank(a) - rank(b)) };
}

function apply(state: SnapshotState, input: SnapshotInput, effects: SnapshotEffect[]): void {
  if ("ref" in input && (input.ref.attempt !== state.attempt || input.ref.snapshotId !== state.spec.id)) return;
  switch (input.type) {
    case "begin":
      begin(state, input.processes, input.notBeforeMs ?? 0, effects);
      return;
    case "attached":
      attach(state, input.process, effects);
      return;
    case "detached": {
      const entry = state.roster.get(input.processId);
      if (entry?.facts.incarnation === input.incarnation) entry.detachedAtMs ??= state.nowMs;
      return;
    }
    case "left":
      if (state.roster.get(input.processId)?.facts.incarnation !== input.incarnation) return;
      state.roster.delete(input.processId);
      loseMember(state, input.processId, input.incarnation, "left before all of it was handed over", effects);
      return;
    case "cut": {
      const member = reporter(state, input.processId, input.incarnation, "cut", effects);
      if (member !== undefined) onCut(state, member, input.report, effects);
      return;
    }
    case "channel": {
      const member = reporter(state, input.processId, input.incarnation, "channel", effects);
      if (member !== undefined) onClosed(state, member, input.report, effects);
      return;
    }
    case "captureFailed": {
      const member = reporter(state, input.processId, input.incarnation, "captureFailed", effects);
      if (member !== undefined) onCaptureFailed(state, member, input.reason, effects);
      return;
    }
    case "partProgress":
      if (isGathering(state)) state.progressAtMs = state.nowMs;
      return;
    case "partStored":
      if (isGathering(state)) onPartStored(state, input.part, effects);
      return;
    case "partFailed":
      if (!isGathering(state)) return;
      failAttempt(state, input.code, `the ${input.kind} part of ${input.processId}: ${input.message}`, effects);
      return;
    case "persisted":
      onPersisted(state, input.write, input.outcome, effects);
      return;
    case "partsVerified":
      if (state.stage === "verifying") publish(state, effects);
      return;
    case "partsCorrupt":
      if (state.stage === "verifying") failAttempt(state, "PartCorrupt", input.message, effects);
      return;
    case "publication":
      onPublication(state, input.outcome, effects);
      return;
    case "publicationReadBack":
      onReadBack(state, input.outcome, effects);
      return;
    case "abort":
      // Once a publication is under way, its outcome is the only truth.
      if (isBeforePublication(state)) end(state, "Aborted", "Aborted", input.message, effects);
      return;
    case "tick":
      return;
  }
}

function begin(
  state: SnapshotState,
  processes: readonly RosterProcess[],
  notBeforeMs: number,
  effects: SnapshotEffect[],
): void {
  if (state.stage !== "new") return;
  state.notBeforeMs = notBeforeMs;
  for (const { detachedAtMs, ...facts } of processes) state.roster.set(facts.id, { facts, detachedAtMs });
  state.stage = "waiting";
  if (!state.inherited) return;
  state.inherited = false;
  failAttempt(state, "CoordinatorRestarted", "the coordinator was replaced while the attempt ran", effects);
}

function attach(state: SnapshotState, facts: ProcessFacts, effects: SnapshotEffect[]): void {
  if (state.stage === "new") return;
  const entry = state.roster.get(facts.id);
  state.roster.set(facts.id, { facts, detachedAtMs: undefined });
  if (entry !== undefined && entry.facts.incarnation !== facts.incarnation) {
    const how = `came back as another incarnation (${facts.incarnation})`;
    loseMember(state, facts.id, entry.facts.incarnation, how, effects);
  }
  if (state.stage !== "cutting" || state.members.has(facts.id)) return;
  const member = memberOf(state, facts);
  // The welcome tells it of the running snapshot.
  member.asked = true;
  state.members.set(facts.id, member);
}

function onPersisted(state: SnapshotState, write: number, outcome: WriteOutcome, effects: SnapshotEffect[]): void {
  if (outcome === "fenced") {
    supersede(state, effects);
    return;
  }
  if (write !== state.write) return;
  if (outcome === "written") own(state, effects);
  if (state.stage === "ending" || state.stage === "withdrawing") {
    onFinalWrite(state, outcome, effects);
    return;
  }
  if (state.stage !== "recordingAttempt") return;
  switch (outcome) {
    case "written":
      state.attemptRecorded = state.attempt;
      launch(state, effects);
      return;
    case "missing":
      vanish(state, effects);
      return;
    case "published":
      supersede(state, effects);
      return;
    case "unknown":
      state.rewriteAtMs = state.nowMs + state.policy.rewriteMs;
  }
}

function passTime(state: SnapshotState, effects: SnapshotEffect[]): void {
  expireGrace(state, effects);
  switch (state.stage) {
    case "recordingAttempt":
      if (state.rewriteAtMs !== undefined && state.nowMs >= state.rewriteAtMs) persist(state, effects);
      return;
    case "cutting":
      askTheUnreached(state, effects);
      checkStall(state, effects);
      break;
    case "collecting":
      checkStall(state, effects);
      break;
    case "publishing":
    case "readingBack":
    case "withdrawing":
    case "ending":
      retryFinal(state, effects);
      return;
    default:
      break;
  }
  if (isWaiting(state)) tryStart(state, effects);
}

function expireGrace(state: SnapshotState, effects: SnapshotEffect[]): void {
  const { graceMs } = state.policy;
  for (const [id, { facts, detachedAtMs }] of state.roster) {
    if (detachedAtMs === undefined || state.nowMs < detachedAtMs + graceMs) continue;
    state.roster.delete(id);
    loseMember(state, id, facts.incarnation, `was away for longer than ${graceMs} ms`, effects);
  }
}

function isWaiting(state: SnapshotState): boolean {
  return state.stage === "waiting";
}

function isGathering(state: SnapshotState): boolean {
  return state.stage === "cutting" || state.stage === "collecting";
}

function isBeforePublication(state: SnapshotState): boolean {
  switch (state.stage) {
    case "waiting":
    case "recordingAttempt":
    case "cutting":
    case "collecting":
    case "verifying":
      return true;
    default:
      return false;
  }
}

function rank(effect: SnapshotEffect): number {
  switch (effect.type) {
    case "note":
      return 1;
    case "sendEnd":
    case "removeParts":
      return 2;
    case "sendStart":
      return 4;
    case "ended":
      return 5;
    default:
      return 3;
  }
}

/** What a process that attaches is told of this snapshot. `undefined`: it is no part of what runs. */
export function runningFor(
  state: SnapshotState,
  processId: string,
  incarnation: string,
):
  | {
      readonly ref: { readonly snapshotId: string; readonly attempt: number };
      readonly remainingMs: number;
      readonly store: boolean;
    }
  | undefined {
  const member = state.members.get(processId);
  if (member === undefined || member.facts.incarnation !== incarnation) return undefined;
  switch (state.stage) {
    case "cutting":
    case "collecting":
    case "verifying":
    case "publishing":
    case "readingBack":
    case "withdrawing":
      return { ref: refOf(state), remainingMs: Math.max(0, deadlineMs(state) - state.nowMs), store: member.store };
    default:
      return undefined;
  }
}
