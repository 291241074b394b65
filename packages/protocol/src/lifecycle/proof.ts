import {
  type CertificateResult,
  type ChannelEvidence,
  checkCertificate,
  nothingReported,
  type Violation,
} from "../certificate.ts";
import type { ChannelId } from "../cut/state.ts";
import type { SnapshotState } from "./state.ts";

/** What both ends have said so far, ordered by channel id. */
export function evidenceOf(state: SnapshotState): ChannelEvidence[] {
  const byId = new Map<ChannelId, ChannelEvidence>();
  for (const { facts, cut } of state.members.values()) {
    for (const sent of cut?.outgoing ?? []) {
      byId.set(sent.channelId, { ...nothingReported(sent.channelId), from: facts.id, ...sentFields(sent) });
    }
  }
  for (const closed of state.closed.values()) {
    const sent = byId.get(closed.channelId);
    byId.set(closed.channelId, {
      ...(sent ?? { ...nothingReported(closed.channelId), from: closed.from, to: closed.receiver }),
      receiverReported: true,
      markerNumber: closed.markerNumber,
      markersReceived: closed.markersReceived,
      markersReceivedSum: closed.markersReceivedSum,
      deliveredAtCut: closed.deliveredAtCut,
      deliveredSum: closed.deliveredSum,
      deliveredMax: closed.deliveredMax,
      recorded: closed.recorded,
      recordedCount: closed.recordedCount,
    });
  }
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The certificate of what was gathered, and that both ends of each channel name each other. */
export function prove(state: SnapshotState, evidence: readonly ChannelEvidence[]): CertificateResult {
  const violations = [...checkCertificate(evidence).violations, ...endViolations(state)];
  return { verdict: violations.length === 0 ? "valid" : "invalid", violations };
}

function endViolations(state: SnapshotState): Violation[] {
  const violations: Violation[] = [];
  const senders = new Map<ChannelId, string>();
  const malformed = (channelId: ChannelId, what: string) => {
    violations.push({ code: "EvidenceMalformed", channelId, message: `channel ${channelId} ${what}` });
  };
  for (const { facts, cut } of state.members.values()) {
    for (const { channelId, to } of cut?.outgoing ?? []) {
      const other = senders.get(channelId);
      if (other !== undefined) malformed(channelId, `is claimed as outgoing by ${other} and by ${facts.id}`);
      senders.set(channelId, facts.id);
      const closed = state.closed.get(channelId);
      if (closed === undefined) continue;
      if (closed.from !== facts.id)
        malformed(channelId, `comes from ${facts.id}, but its receiver says ${closed.from}`);
      if (closed.receiver !== to) malformed(channelId, `goes to ${to}, but ${closed.receiver} reported it as its own`);
    }
  }
  return violations;
}

function sentFields(sent: { to: string; sentAtCut: number; markersSent: number; markersSentSum: number }) {
  return {
    to: sent.to,
    senderReported: true,
    sentAtCut: sent.sentAtCut,
    markersSent: sent.markersSent,
    markersSentSum: sent.markersSentSum,
  };
}
