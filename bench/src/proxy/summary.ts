import { medianOf } from "../summary.ts";
import type { Case } from "./cases.ts";
import { type Measurement, type Passed, passed } from "./measure.ts";
import type { WayName } from "./options.ts";

/** One case on one way: medians over the rounds. */
export interface ProxyRow {
  readonly case: string;
  readonly way: WayName;
  readonly callsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Null where there is no such program, or where it is not known. */
  readonly cpuUs: Readonly<Record<Passed, number | null>>;
  /** Of both hops; null for direct calls. */
  readonly hopsUs: { readonly median: number; readonly min: number; readonly max: number } | null;
  readonly coreShare: number;
  readonly hopsMib: number;
  readonly failures: number;
}

export function summarizeWays(
  measurements: readonly Measurement[],
  cases: readonly Case[],
  ways: readonly WayName[],
): ProxyRow[] {
  return cases.flatMap(({ name }) =>
    ways.map((way) => {
      const those = measurements.filter((one) => one.case === name && one.way === way);
      return rowOf(name, way, those);
    }),
  );
}

function rowOf(name: string, way: WayName, those: readonly Measurement[]): ProxyRow {
  const median = (read: (one: Measurement) => number) => medianOf(those.map(read));
  const cpu = (program: Passed) => medianOrNull(those.map(({ cpuUs }) => cpuUs[program]));
  const hops = those.map(({ cpuUs: { hop1, hop2 } }) => hop1 + hop2).filter((value) => !Number.isNaN(value));
  return {
    case: name,
    way,
    callsPerSecond: median(({ callsPerSecond }) => callsPerSecond),
    p50Us: median(({ p50Us }) => p50Us),
    p99Us: median(({ p99Us }) => p99Us),
    cpuUs: Object.fromEntries(passed.map((program) => [program, cpu(program)])) as Record<Passed, number | null>,
    hopsUs: hops.length === 0 ? null : { median: medianOf(hops), min: Math.min(...hops), max: Math.max(...hops) },
    coreShare: median(({ coreShare }) => coreShare),
    hopsMib: median(({ hopsMib }) => hopsMib),
    failures: those.reduce((sum, { failures }) => sum + failures, 0),
  };
}

function medianOrNull(values: readonly number[]): number | null {
  const known = values.filter((value) => !Number.isNaN(value));
  return known.length === 0 ? null : medianOf(known);
}
