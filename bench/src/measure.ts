import type { LoadRequest, LoadResult } from "./contract.ts";
import { cpuTimeUs } from "./cpu.ts";
import { type Passed, passed, type Rig, type RigKind } from "./rig.ts";
import { type SnapshotsTaken, takeSnapshots } from "./snapshots.ts";

/** One of the ways that are compared. */
export interface Arm {
  readonly name: string;
  readonly rig: RigKind;
  readonly route: LoadRequest["route"];
  readonly snapshots: "none" | "everySecond";
}

export const arms: readonly Arm[] = [
  { name: "direct", rig: "none", route: "direct", snapshots: "none" },
  { name: "agents", rig: "none", route: "agents", snapshots: "none" },
  { name: "agents, SDK", rig: "participant", route: "agents", snapshots: "none" },
  { name: "agents, SDK, snapshot/s", rig: "participant", route: "agents", snapshots: "everySecond" },
];

export interface Measurement extends LoadResult {
  readonly arm: string;
  readonly concurrency: number;
  readonly repetition: number;
  readonly callsPerSecond: number;
  /** Null where a program is not passed, or where the system has no such counters. */
  readonly cpuUsPerCall: Readonly<Record<Passed, number | null>>;
  readonly snapshots: SnapshotsTaken | undefined;
}

export async function measure(
  rig: Rig,
  arm: Arm,
  concurrency: number,
  repetition: number,
  durationMs: number,
): Promise<Measurement> {
  const ended = new AbortController();
  const taking = arm.snapshots === "everySecond" ? takeSnapshots(rig.rest, ended.signal) : undefined;
  const before = await cpuTimes(rig);
  const result = await rig.load({ route: arm.route, concurrency, durationMs });
  const after = await cpuTimes(rig);
  ended.abort();
  const snapshots = await taking;
  const perCall = (program: Passed): number | null => {
    const isPassed = arm.route === "agents" || program === "client" || program === "server";
    const usPerCall = (after[program] - before[program]) / Math.max(1, result.calls);
    return isPassed && Number.isFinite(usPerCall) ? usPerCall : null;
  };
  return {
    ...result,
    arm: arm.name,
    concurrency,
    repetition,
    callsPerSecond: (result.calls * 1_000) / result.elapsedMs,
    cpuUsPerCall: {
      client: perCall("client"),
      agentA: perCall("agentA"),
      agentB: perCall("agentB"),
      server: perCall("server"),
    },
    snapshots,
  };
}

async function cpuTimes(rig: Rig): Promise<Record<Passed, number>> {
  const times = { client: 0, agentA: 0, agentB: 0, server: 0 };
  for (const program of passed) times[program] = await cpuTimeUs(rig.pid(program));
  return times;
}
