import { arms, type Measurement } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { type Passed, passed } from "./rig.ts";

/** One arm at one concurrency: medians over the repetitions. */
export interface Row {
  readonly arm: string;
  readonly concurrency: number;
  readonly callsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly cpuUsPerCall: Readonly<Record<Passed, number | null>> & { readonly all: number | null };
  readonly failures: number;
  /** Null without snapshots. */
  readonly snapshots: {
    readonly completed: number;
    readonly exact: number;
    readonly failed: number;
    /** Of all processes of all completed snapshots; null when there were none. */
    readonly pauseP50Us: number | null;
    readonly pauseMaxUs: number | null;
  } | null;
}

export function summarize(measurements: readonly Measurement[], { concurrencies }: BenchOptions): Row[] {
  return concurrencies.flatMap((concurrency) =>
    arms.map(({ name }) => {
      const those = measurements.filter((one) => one.arm === name && one.concurrency === concurrency);
      return rowOf(name, concurrency, those);
    }),
  );
}

function rowOf(arm: string, concurrency: number, those: readonly Measurement[]): Row {
  const cpu = (program: Passed) => {
    const values = those.flatMap(({ cpuUsPerCall }) => cpuUsPerCall[program] ?? []);
    return values.length === 0 ? null : medianOf(values);
  };
  const cpuUsPerCall = { client: cpu("client"), agentA: cpu("agentA"), agentB: cpu("agentB"), server: cpu("server") };
  const known = passed.flatMap((program) => cpuUsPerCall[program] ?? []);
  return {
    arm,
    concurrency,
    callsPerSecond: medianOf(those.map(({ callsPerSecond }) => callsPerSecond)),
    p50Us: medianOf(those.map(({ p50Us }) => p50Us)),
    p99Us: medianOf(those.map(({ p99Us }) => p99Us)),
    cpuUsPerCall: { ...cpuUsPerCall, all: known.length === 0 ? null : sumOf(known) },
    failures: sumOf(those.map(({ failures }) => failures)),
    snapshots: snapshotsOf(those),
  };
}

function snapshotsOf(those: readonly Measurement[]): Row["snapshots"] {
  const taken = those.flatMap(({ snapshots }) => snapshots ?? []);
  if (taken.length === 0) return null;
  const pausesUs = taken.flatMap((one) => one.pausesUs);
  return {
    completed: sumOf(taken.map(({ completed }) => completed)),
    exact: sumOf(taken.map(({ exact }) => exact)),
    failed: sumOf(taken.map(({ failed }) => failed)),
    pauseP50Us: pausesUs.length === 0 ? null : medianOf(pausesUs),
    pauseMaxUs: pausesUs.length === 0 ? null : Math.max(...pausesUs),
  };
}

export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, one) => sum + one, 0);
}
