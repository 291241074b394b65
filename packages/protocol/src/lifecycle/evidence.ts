import type { ChannelId, ProcessId } from "../cut/state.ts";
import type { NumberRange } from "../numbers.ts";

export interface ReasonFacts {
  readonly code: string;
  readonly message: string;
  readonly processId: string;
}

export interface EnvironmentFacts {
  readonly authority: string;
  readonly direction: string;
  readonly calls: number;
  readonly openCalls: number;
}

/** One process says that it has cut. The same every time it is said. */
export interface CutEvidence {
  readonly exact: boolean;
  readonly reasons: readonly ReasonFacts[];
  readonly pauseUs: number;
  readonly lockWaitUs: number;
  readonly outgoing: readonly SentEvidence[];
  /** Incoming channels that existed at the cut. */
  readonly incoming: readonly ChannelId[];
  readonly environment: readonly EnvironmentFacts[];
  readonly callsInProcess: number;
}

export interface SentEvidence {
  readonly channelId: ChannelId;
  readonly to: ProcessId;
  readonly sentAtCut: number;
  readonly markersSent: number;
  readonly markersSentSum: number;
  readonly outboxCount: number;
  readonly outboxMessages: number;
}

/** The receiver says that a channel has closed. The same every time it is said. */
export interface ClosedEvidence {
  readonly channelId: ChannelId;
  readonly from: ProcessId;
  readonly markerNumber: number;
  readonly markersReceived: number;
  readonly markersReceivedSum: number;
  readonly deliveredAtCut: number;
  readonly deliveredSum: number;
  readonly deliveredMax: number;
  readonly recorded: readonly NumberRange[];
  readonly recordedCount: number;
  readonly messages: number;
}

export type PartKindName = "local" | "calls" | "channel" | "outbox";

/** A part that the store has committed. */
export interface StoredPart {
  readonly kind: PartKindName;
  /** Process id for `local` and `calls`, channel id for `channel` and `outbox`. */
  readonly owner: string;
  /** Who uploaded it. */
  readonly processId: ProcessId;
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly contentType: string;
}

/** `kind owner`, the key of tables. */
export function partName(kind: PartKindName, owner: string): string {
  return `${kind} ${owner}`;
}

/** A copy with these fields alone and in one order, so that two reports can be compared as text. */
export function normalCut(report: CutEvidence): CutEvidence {
  return {
    exact: report.exact,
    reasons: report.reasons.map(({ code, message, processId }) => ({ code, message, processId })),
    pauseUs: report.pauseUs,
    lockWaitUs: report.lockWaitUs,
    outgoing: report.outgoing.map((sent) => ({
      channelId: sent.channelId,
      to: sent.to,
      sentAtCut: sent.sentAtCut,
      markersSent: sent.markersSent,
      markersSentSum: sent.markersSentSum,
      outboxCount: sent.outboxCount,
      outboxMessages: sent.outboxMessages,
    })),
    incoming: [...report.incoming],
    environment: report.environment.map(({ authority, direction, calls, openCalls }) => ({
      authority,
      direction,
      calls,
      openCalls,
    })),
    callsInProcess: report.callsInProcess,
  };
}

export function normalClosed(report: ClosedEvidence): ClosedEvidence {
  return {
    channelId: report.channelId,
    from: report.from,
    markerNumber: report.markerNumber,
    markersReceived: report.markersReceived,
    markersReceivedSum: report.markersReceivedSum,
    deliveredAtCut: report.deliveredAtCut,
    deliveredSum: report.deliveredSum,
    deliveredMax: report.deliveredMax,
    recorded: report.recorded.map(({ first, last }) => ({ first, last })),
    recordedCount: report.recordedCount,
    messages: report.messages,
  };
}

export function sameEvidence<T extends CutEvidence | ClosedEvidence>(a: T, b: T): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
