import type { FrameNumber, NumberSet } from "../numbers.ts";

export type ChannelId = string;
export type ProcessId = string;

/** One attempt of one snapshot. */
export interface SnapshotRef {
  readonly snapshotId: string;
  /** Counts from 1. */
  readonly attempt: number;
}

/** `snapshotId/attempt`, the key of tables. */
export type SnapshotKey = string;

export function snapshotKey(ref: SnapshotRef): SnapshotKey {
  return `${ref.snapshotId}/${ref.attempt}`;
}

/** A channel this process sends on. */
export interface OutgoingChannel {
  readonly id: ChannelId;
  readonly peer: ProcessId;
  /** The last number given; 0: none yet. */
  lastNumber: FrameNumber;
  markersSent: number;
  markersSentSum: number;
}

/** A channel this process receives on. */
export interface IncomingChannel {
  readonly id: ChannelId;
  readonly peer: ProcessId;
  /** The last number that arrived; 0: none yet. */
  lastNumber: FrameNumber;
  markersReceived: number;
  markersReceivedSum: number;
  /** Application frames the application has received: how many, the sum of their numbers, the highest. */
  deliveredCount: number;
  deliveredSum: number;
  deliveredMax: FrameNumber;
  /** Markers whose snapshot has not cut here yet, in ascending order: what stands behind the first of them waits. */
  readonly barriers: Barrier[];
  /** Snapshots that have cut here and still record this channel. Empty nearly always: the fast path looks here. */
  readonly recordings: Recording[];
}

export interface Barrier {
  readonly key: SnapshotKey;
  readonly markerNumber: FrameNumber;
}

/** One channel as one snapshot sees it. */
export interface Recording {
  readonly ref: SnapshotRef;
  readonly channel: ChannelId;
  readonly from: ProcessId;
  /** `undefined`: the marker has not arrived. */
  marker:
    | { readonly number: FrameNumber; readonly markersBefore: number; readonly markersBeforeSum: number }
    | undefined;
  /** Set at the cut. */
  delivered: { readonly count: number; readonly sum: number; readonly max: FrameNumber } | undefined;
  readonly recorded: NumberSet;
}

export type CutTrigger = "start" | "marker" | "attach";

/** `cutting`: a capture is under way. `recording`: cut, some channel is open. `done`: every channel known is closed. */
export type LocalPhase = "cutting" | "recording" | "done";

export interface LocalSnapshot {
  readonly ref: SnapshotRef;
  readonly trigger: CutTrigger;
  phase: LocalPhase;
  readonly channels: Map<ChannelId, Recording>;
}

export interface CutLimits {
  /** Snapshots one process takes part in at a time. Default 16. */
  readonly runningSnapshotsMax: number;
  /** Ended attempts remembered, so that their late markers are known for what they are. Default 4096. */
  readonly endedRememberedMax: number;
}

export const defaultCutLimits: CutLimits = { runningSnapshotsMax: 16, endedRememberedMax: 4096 };

/**
 * Everything one process knows about its channels and running snapshots. Owned by whoever steps it: `step` changes it
 * in place and returns the same object, because it stands on the path of every message (ADR 0002).
 */
export interface ProcessState {
  readonly process: ProcessId;
  readonly limits: CutLimits;
  readonly outgoing: Map<ChannelId, OutgoingChannel>;
  readonly incoming: Map<ChannelId, IncomingChannel>;
  readonly snapshots: Map<SnapshotKey, LocalSnapshot>;
  /** Insertion-ordered; the oldest is forgotten first. */
  readonly ended: Set<SnapshotKey>;
}

export function createProcessState(process: ProcessId, limits: CutLimits = defaultCutLimits): ProcessState {
  return { process, limits, outgoing: new Map(), incoming: new Map(), snapshots: new Map(), ended: new Set() };
}

/** The snapshots whose markers hold back what stands behind them on a channel. */
export function holdersOf(state: ProcessState, channel: IncomingChannel): SnapshotRef[] {
  return channel.barriers.flatMap(({ key }) => state.snapshots.get(key)?.ref ?? []);
}
