import type { ProcessId } from "../cut/state.ts";
import { advance, failAttempt } from "./attempt.ts";
import {
  type ClosedEvidence,
  type CutEvidence,
  normalClosed,
  normalCut,
  partName,
  type ReasonFacts,
  type StoredPart,
  sameEvidence,
} from "./evidence.ts";
import type { SnapshotEffect } from "./messages.ts";
import type { Member, SnapshotState } from "./state.ts";

/** The member that may report to the running attempt. `undefined`: it is no member, or nothing is gathered now. */
export function reporter(
  state: SnapshotState,
  processId: ProcessId,
  incarnation: string,
  what: string,
  effects: SnapshotEffect[],
): Member | undefined {
  const member = state.members.get(processId);
  const gathering = state.stage === "cutting" || state.stage === "collecting";
  if (gathering && member !== undefined && member.facts.incarnation === incarnation) return member;
  // After the gathering, repeats of what is known are the rule and worth no line.
  if (gathering) {
    effects.push({ type: "note", level: "warn", event: "reportIgnored", fields: { processId, incarnation, what } });
  }
  return undefined;
}

export function onCut(state: SnapshotState, member: Member, report: CutEvidence, effects: SnapshotEffect[]): void {
  const normal = normalCut(report);
  const { id } = member.facts;
  if (member.cut !== undefined) {
    if (!sameEvidence(member.cut, normal)) {
      failAttempt(state, "EvidenceChanged", `process ${id} reported its cut twice, and differently`, effects);
    }
    return;
  }
  member.cut = normal;
  state.progressAtMs = state.nowMs;
  effects.push({
    type: "note",
    level: "info",
    event: "processCut",
    fields: { processId: id, attempt: state.attempt, exact: String(normal.exact), pauseUs: normal.pauseUs },
  });
  advance(state, effects);
}

export function onClosed(
  state: SnapshotState,
  member: Member,
  report: ClosedEvidence,
  effects: SnapshotEffect[],
): void {
  const normal = normalClosed(report);
  const known = state.closed.get(normal.channelId);
  const { id } = member.facts;
  if (known !== undefined) {
    if (known.receiver !== id || !sameEvidence(normalClosed(known), normal)) {
      const who = known.receiver === id ? id : `${known.receiver} and ${id}`;
      failAttempt(
        state,
        "EvidenceChanged",
        `channel ${normal.channelId} was reported twice, and differently, by ${who}`,
        effects,
      );
    }
    return;
  }
  state.closed.set(normal.channelId, { ...normal, receiver: id });
  state.progressAtMs = state.nowMs;
  advance(state, effects);
}

/** What a process may give as the reason of an attempt. */
const reasonCode = /^[A-Z][A-Za-z0-9]{0,63}$/;

export function onCaptureFailed(
  state: SnapshotState,
  member: Member,
  reason: ReasonFacts,
  effects: SnapshotEffect[],
): void {
  const code = reason.code === "" ? "" : `${reason.code}: `;
  const message = `process ${member.facts.id} could not be captured: ${code}${reason.message}`;
  const named = reasonCode.test(reason.code) && reason.code !== "Unknown";
  failAttempt(state, named ? reason.code : "CaptureFailed", message, effects);
}

export function onPartStored(state: SnapshotState, part: StoredPart, effects: SnapshotEffect[]): void {
  const name = partName(part.kind, part.owner);
  const known = state.parts.get(name);
  if (known !== undefined) {
    if (known.sha256 !== part.sha256 || known.sizeBytes !== part.sizeBytes) {
      const message = `the part ${name} was uploaded twice, and differently, by ${known.processId} and ${part.processId}`;
      failAttempt(state, "EvidenceChanged", message, effects);
    }
    return;
  }
  state.parts.set(name, part);
  state.progressAtMs = state.nowMs;
  advance(state, effects);
}
