import type { ProcessId } from "../cut/state.ts";

/** What was asked for. Never changes, and survives every take-over. */
export interface SnapshotSpec {
  readonly id: string;
  readonly createdAtMs: number;
  /** From creation to the end of the last attempt. */
  readonly timeoutMs: number;
  /** At least 1. */
  readonly attemptsMax: number;
  readonly labels: Readonly<Record<string, string>>;
  /** The one process asked to cut first; empty: all are asked at once. */
  readonly initiator: ProcessId;
  readonly scope: Scope | undefined;
  readonly idempotencyKey: string;
}

/** Limits what is stored, not what is cut. Empty conditions hold for every process. */
export interface Scope {
  readonly namespaces: readonly string[];
  readonly labelSelector: Readonly<Record<string, string>>;
}

/** The numbers that bound one snapshot's life. */
export interface SnapshotPolicy {
  /** How long a process may be detached before it counts as lost. Default 5000 ms. */
  readonly graceMs: number;
  /** With an `initiator`: when those the markers have not reached are asked to cut themselves. Default 1000 ms. */
  readonly initiatorGraceMs: number;
  /** An attempt that is not the last may stand still at least this long. Default 2000 ms. */
  readonly stallMsMin: number;
  /**
   * Between the first attempt and the second; doubled for each later one, and never more than half of the time left.
   * Default 250 ms.
   */
  readonly attemptPauseMs: number;
  /** Publications tried when their outcome stays unknown. Default 5. */
  readonly publishTriesMax: number;
  /** How long the last word may take to reach the store before the document in the store decides. Default 10000 ms. */
  readonly settleMsMax: number;
  /** Between two tries of a write whose outcome is unknown. Default 250 ms. */
  readonly rewriteMs: number;
  /** Reasons and violations listed in one document. Default 200. */
  readonly reasonsMax: number;
  /** Channels of one attempt, as its senders list them, as its receivers list them, and as they are reported. Default 100000. */
  readonly channelsMax: number;
  /** Ranges of recorded frames, over all channels of one attempt. Default 1000000. */
  readonly rangesMax: number;
  /** Reasons, and peers of the environment, that one process's cut names. Default 10000. */
  readonly cutEntriesMax: number;
}

export const defaultSnapshotPolicy: SnapshotPolicy = {
  graceMs: 5_000,
  initiatorGraceMs: 1_000,
  stallMsMin: 2_000,
  attemptPauseMs: 250,
  publishTriesMax: 5,
  settleMsMax: 10_000,
  rewriteMs: 250,
  reasonsMax: 200,
  channelsMax: 100_000,
  rangesMax: 1_000_000,
  cutEntriesMax: 10_000,
};

/** A process as the lifecycle knows it. */
export interface ProcessFacts {
  readonly id: ProcessId;
  readonly incarnation: string;
  readonly captureSource: string;
  readonly labels: Readonly<Record<string, string>>;
}

export function inScope(scope: Scope | undefined, process: ProcessFacts): boolean {
  if (scope === undefined) return true;
  const namespace = process.id.split("/")[0] ?? "";
  if (scope.namespaces.length > 0 && !scope.namespaces.includes(namespace)) return false;
  return Object.entries(scope.labelSelector).every(
    ([label, value]) => Object.hasOwn(process.labels, label) && process.labels[label] === value,
  );
}
