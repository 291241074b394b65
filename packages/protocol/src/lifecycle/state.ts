import type { Violation } from "../certificate.ts";
import type { ChannelId, ProcessId, SnapshotRef } from "../cut/state.ts";
import type { ClosedEvidence, CutEvidence, StoredPart } from "./evidence.ts";
import { inScope, type ProcessFacts, type SnapshotPolicy, type SnapshotSpec } from "./spec.ts";

export type SnapshotPhase = "Pending" | "Cutting" | "Collecting" | "Verifying" | "Completed" | "Failed" | "Aborted";

const lastPhases: ReadonlySet<string> = new Set(["Completed", "Failed", "Aborted"] satisfies SnapshotPhase[]);

/** Nothing follows it; phases that are not known are none. */
export function isLastPhase(phase: string): boolean {
  return lastPhases.has(phase);
}

/**
 * Where a snapshot stands, finer than its phase.
 * `waiting`: for processes in their grace period, or for any process at all. `recordingAttempt`: the attempt's number
 * is on its way to the store. `verifying`: parts are read back. `publishing`, `readingBack`: the document may be
 * Completed in the store. `withdrawing`: as before, and this coordinator tries to write Failed. `ending`: the phase is
 * final and on its way to the store. `ended`: nothing more happens.
 */
export type SnapshotStage =
  | "new"
  | "waiting"
  | "recordingAttempt"
  | "cutting"
  | "collecting"
  | "verifying"
  | "publishing"
  | "readingBack"
  | "withdrawing"
  | "ending"
  | "ended";

interface RosterEntry {
  readonly facts: ProcessFacts;
  detachedAtMs: number | undefined;
}

/** A process that the running attempt waits for, or has. */
export interface Member {
  readonly facts: ProcessFacts;
  /** In scope: its parts are kept. */
  readonly store: boolean;
  asked: boolean;
  cut: CutEvidence | undefined;
  lost: boolean;
}

interface Closed extends ClosedEvidence {
  readonly receiver: ProcessId;
}

export interface EarlierAttempt {
  readonly attempt: number;
  readonly reason: string;
  readonly message: string;
  readonly endedAtMs: number;
}

export interface End {
  readonly phase: "Completed" | "Failed" | "Aborted";
  readonly reason: string;
  readonly message: string;
  readonly atMs: number;
}

/** Everything the coordinator knows about one snapshot. `stepSnapshot` changes it in place. */
export interface SnapshotState {
  readonly spec: SnapshotSpec;
  readonly policy: SnapshotPolicy;
  nowMs: number;
  stage: SnapshotStage;
  /** No attempt starts earlier. */
  notBeforeMs: number;
  /** Taken over, and `begin` has not come yet. */
  inherited: boolean;
  startedAtMs: number | undefined;
  /** Counts from 1. */
  attempt: number;
  /** The highest attempt that the store is known to know of. */
  attemptRecorded: number;
  /** No other leader's document can land any more: there was none, or this one has written the document since. */
  owned: boolean;
  /** Parts of the attempts up to this one go when the document is owned. 0: none wait for that. */
  removeThrough: number;
  attemptStartedAtMs: number;
  progressAtMs: number;
  /** `undefined`: the last attempt, which may use all the time there is. */
  stallMs: number | undefined;
  readonly roster: Map<ProcessId, RosterEntry>;
  members: Map<ProcessId, Member>;
  closed: Map<ChannelId, Closed>;
  /** What the members of the running attempt list, over all of them. */
  listed: { outgoing: number; incoming: number; ranges: number };
  parts: Map<string, StoredPart>;
  violations: readonly Violation[];
  certified: boolean;
  readonly earlierAttempts: EarlierAttempt[];
  publishTries: number;
  /** The write whose answer is waited for. */
  write: number;
  rewriteAtMs: number | undefined;
  settleByMs: number;
  end: End | undefined;
}

export function createSnapshotState(spec: SnapshotSpec, policy: SnapshotPolicy): SnapshotState {
  return {
    spec,
    policy,
    nowMs: spec.createdAtMs,
    stage: "new",
    notBeforeMs: 0,
    inherited: false,
    startedAtMs: undefined,
    attempt: 1,
    attemptRecorded: 1,
    owned: true,
    removeThrough: 0,
    attemptStartedAtMs: 0,
    progressAtMs: 0,
    stallMs: undefined,
    roster: new Map(),
    members: new Map(),
    closed: new Map(),
    listed: { outgoing: 0, incoming: 0, ranges: 0 },
    parts: new Map(),
    violations: [],
    certified: false,
    earlierAttempts: [],
    publishTries: 0,
    write: 0,
    rewriteAtMs: undefined,
    settleByMs: 0,
    end: undefined,
  };
}

/** What a store's document tells of a snapshot whose coordinator has gone. */
export interface Inheritance {
  /** The attempt that was running. */
  readonly attempt: number;
  readonly startedAtMs: number | undefined;
  readonly earlierAttempts: readonly EarlierAttempt[];
  /** Those that took part; each has the grace period to come back. */
  readonly processes: readonly ProcessFacts[];
}

/**
 * Take-over: what the earlier attempt had gathered is not trusted, for parts of it may be on their way still; the next
 * attempt begins when its processes are back. `begin` comes next, and ends it with `CoordinatorRestarted` where no
 * attempt or no time is left.
 */
export function restoreSnapshotState(
  spec: SnapshotSpec,
  policy: SnapshotPolicy,
  inherited: Inheritance,
  nowMs: number,
): SnapshotState {
  const state = createSnapshotState(spec, policy);
  state.nowMs = nowMs;
  state.attempt = inherited.attempt;
  state.attemptRecorded = inherited.attempt;
  state.owned = false;
  state.startedAtMs = inherited.startedAtMs;
  state.earlierAttempts.push(...inherited.earlierAttempts);
  for (const facts of inherited.processes) state.roster.set(facts.id, { facts, detachedAtMs: nowMs });
  state.inherited = true;
  return state;
}

export function deadlineMs(state: SnapshotState): number {
  return state.spec.createdAtMs + state.spec.timeoutMs;
}

export function refOf(state: SnapshotState): SnapshotRef {
  return { snapshotId: state.spec.id, attempt: state.attempt };
}

export function memberOf(state: SnapshotState, facts: ProcessFacts): Member {
  return { facts, store: inScope(state.spec.scope, facts), asked: false, cut: undefined, lost: false };
}

export function phaseOf(state: SnapshotState): SnapshotPhase {
  if (state.end !== undefined && (state.stage === "ending" || state.stage === "ended")) return state.end.phase;
  switch (state.stage) {
    case "new":
    case "waiting":
    case "recordingAttempt":
      return "Pending";
    case "cutting":
      return "Cutting";
    case "collecting":
      return "Collecting";
    default:
      return "Verifying";
  }
}
