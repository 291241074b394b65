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

/** Counts of what travelled on one channel, and numbers of its frames: the width of a frame's number on the wire. */
const countMax = 2 ** 48;

/** Which count of a cut nobody could have come to. `undefined`: none. */
export function impossibleInCut({ outgoing, callsInProcess }: CutEvidence): string | undefined {
  for (const { channelId, sentAtCut, markersSent, outboxCount, outboxMessages } of outgoing) {
    const wrong = impossible({ sentAtCut, markersSent, outboxCount, outboxMessages });
    if (wrong !== undefined) return `channel ${channelId} ${wrong}`;
  }
  return impossible({ callsInProcess });
}

export function impossibleInClosed(report: ClosedEvidence): string | undefined {
  const { markerNumber, markersReceived, deliveredAtCut, deliveredMax, recordedCount, messages, recorded } = report;
  const counts = { markerNumber, markersReceived, deliveredAtCut, deliveredMax, recordedCount, messages };
  const wrong =
    impossible(counts) ??
    recorded.map(({ first, last }) => impossible({ first, last })).find((found) => found !== undefined);
  return wrong === undefined ? undefined : `channel ${report.channelId} ${wrong}`;
}

function impossible(counts: Readonly<Record<string, number>>): string | undefined {
  for (const [name, count] of Object.entries(counts)) {
    if (!(count >= 0 && count <= countMax)) return `has ${name} ${count}, and at most 2^48 = ${countMax} can be`;
  }
  return undefined;
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
