import type { ProcessEntry, Snapshot } from "@cutline/proto/snapshot";
import type { JsonDifference } from "./json-paths.ts";

/** What two snapshots have different. */
export interface SnapshotDiff {
  readonly before: string;
  readonly after: string;
  /** Between their ends, by the coordinator's clock. */
  readonly apartMs: number | undefined;
  readonly processes: readonly ProcessDiff[];
  readonly channels: readonly ChannelDiff[];
  /** Messages in channel states and outboxes. */
  readonly inFlight: { readonly before: number; readonly after: number };
  readonly exact: { readonly before: boolean; readonly after: boolean };
}

export interface ProcessDiff {
  readonly id: string;
  readonly change: "added" | "removed" | "restarted" | "state" | "calls";
  /** Of the local state; absent where it is not stored. */
  readonly bytes?: { readonly before: number; readonly after: number };
  /** The places where the two states differ, when both are JSON. */
  readonly paths?: readonly JsonDifference[];
  /** There are more places than these. */
  readonly more?: boolean;
  /** Why the states were not compared, though their hashes differ. */
  readonly notCompared?: string;
}

/** From one process to another: links come and go. */
interface ChannelDiff {
  readonly from: string;
  readonly to: string;
  readonly before: ChannelSum | undefined;
  readonly after: ChannelSum | undefined;
}

export interface ChannelSum {
  readonly channels: number;
  /** Frames that were on their way: recorded, or in the outbox. */
  readonly inFlight: number;
}

/** By what the two manifests say; local states by their hashes. */
export function compareSnapshots(before: Snapshot, after: Snapshot): SnapshotDiff {
  const apartMs = Date.parse(after.endedAt) - Date.parse(before.endedAt);
  return {
    before: before.id,
    after: after.id,
    apartMs: Number.isNaN(apartMs) ? undefined : apartMs,
    processes: processesOf(before, after),
    channels: channelsOf(before, after),
    inFlight: { before: before.progress?.inFlightMessages ?? 0, after: after.progress?.inFlightMessages ?? 0 },
    exact: { before: before.exact, after: after.exact },
  };
}

function processesOf(before: Snapshot, after: Snapshot): ProcessDiff[] {
  const earlier = new Map(before.processes.map((process) => [process.id, process]));
  const later = new Map(after.processes.map((process) => [process.id, process]));
  const ids = [...new Set([...earlier.keys(), ...later.keys()])].sort();
  return ids.flatMap((id): ProcessDiff[] => {
    const [one, other] = [earlier.get(id), later.get(id)];
    if (one === undefined) return [{ id, change: "added" }];
    if (other === undefined) return [{ id, change: "removed" }];
    const change = changeOf(one, other);
    if (change === undefined) return [];
    const bytes = one.stored && other.stored ? { before: one.stateBytes, after: other.stateBytes } : undefined;
    return [{ id, change, ...(bytes !== undefined && { bytes }) }];
  });
}

function changeOf(one: ProcessEntry, other: ProcessEntry): ProcessDiff["change"] | undefined {
  if (one.incarnation !== other.incarnation) return "restarted";
  if (one.stateSha256 !== other.stateSha256) return "state";
  return one.callsSha256 === other.callsSha256 ? undefined : "calls";
}

/** Whether both states are stored and differ. */
export function haveOtherStates(id: string, before: Snapshot, after: Snapshot): boolean {
  const hashes = [before, after].map(({ processes }) => {
    const process = processes.find((one) => one.id === id);
    return process?.stored ? process.stateSha256 : "";
  });
  return hashes[0] !== "" && hashes[1] !== "" && hashes[0] !== hashes[1];
}

function channelsOf(before: Snapshot, after: Snapshot): ChannelDiff[] {
  const [earlier, later] = [sumsOf(before), sumsOf(after)];
  return [...new Set([...earlier.keys(), ...later.keys()])].sort().flatMap((key): ChannelDiff[] => {
    const [one, other] = [earlier.get(key), later.get(key)];
    if (one?.inFlight === other?.inFlight && one?.channels === other?.channels) return [];
    const [from = "", to = ""] = key.split(" ");
    return [{ from, to, before: one, after: other }];
  });
}

function sumsOf({ channels }: Snapshot): Map<string, ChannelSum> {
  const sums = new Map<string, ChannelSum>();
  for (const { from, to, recordedCount, outboxCount } of channels) {
    const known = sums.get(`${from} ${to}`) ?? { channels: 0, inFlight: 0 };
    const inFlight = known.inFlight + recordedCount + outboxCount;
    sums.set(`${from} ${to}`, { channels: known.channels + 1, inFlight });
  }
  return sums;
}

export function isEmpty({ processes, channels, inFlight, exact }: SnapshotDiff): boolean {
  return (
    processes.length === 0 &&
    channels.length === 0 &&
    inFlight.before === inFlight.after &&
    exact.before === exact.after
  );
}
