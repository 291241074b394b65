import type { ProcessId } from "../cut/state.ts";
import { advance, failAttempt } from "./attempt.ts";
import {
  type ClosedEvidence,
  type CutEvidence,
  impossibleInClosed,
  impossibleInCut,
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
  const impossible = impossibleInCut(normal);
  if (impossible !== undefined) {
    failAttempt(state, "EvidenceInvalid", `process ${id} reported a cut that cannot be: ${impossible}`, effects);
    return;
  }
  const excess = excessInCut(state, normal);
  if (excess !== undefined) {
    failAttempt(state, "EvidenceTooLarge", `process ${id} reported a cut that is too large: ${excess}`, effects);
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
  const impossible = impossibleInClosed(normal);
  if (impossible !== undefined) {
    failAttempt(state, "EvidenceInvalid", `process ${id} reported what cannot be: ${impossible}`, effects);
    return;
  }
  const excess = excessInClosed(state, normal);
  if (excess !== undefined) {
    failAttempt(state, "EvidenceTooLarge", `process ${id} reported channel ${normal.channelId}: ${excess}`, effects);
    return;
  }
  state.closed.set(normal.channelId, { ...normal, receiver: id });
  state.progressAtMs = state.nowMs;
  advance(state, effects);
}

/** Which limit the cut goes over. `undefined`: none, and it is counted. */
function excessInCut({ policy, listed }: SnapshotState, cut: CutEvidence): string | undefined {
  const { channelsMax, cutEntriesMax } = policy;
  const entries = cut.reasons.length + cut.environment.length;
  if (entries > cutEntriesMax) {
    return `it names ${entries} reasons and peers, more than cutEntriesMax = ${cutEntriesMax}`;
  }
  const outgoing = listed.outgoing + cut.outgoing.length;
  const incoming = listed.incoming + cut.incoming.length;
  if (Math.max(outgoing, incoming) > channelsMax) {
    return `the attempt has ${Math.max(outgoing, incoming)} channels with it, more than channelsMax = ${channelsMax}`;
  }
  listed.outgoing = outgoing;
  listed.incoming = incoming;
  return undefined;
}

function excessInClosed({ policy, listed, closed }: SnapshotState, report: ClosedEvidence): string | undefined {
  const { channelsMax, rangesMax } = policy;
  if (closed.size >= channelsMax) return `more than channelsMax = ${channelsMax} were reported in this attempt`;
  const ranges = listed.ranges + report.recorded.length;
  if (ranges > rangesMax) {
    return `the attempt has ${ranges} ranges of recorded frames with it, more than rangesMax = ${rangesMax}`;
  }
  listed.ranges = ranges;
  return undefined;
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
