import { describeMachine, type Machine } from "./machine.ts";
import { arms, type Measurement, measure } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { type Rig, type RigKind, startRig } from "./rig.ts";
import { type Row, summarize } from "./summary.ts";

export interface BenchReport {
  readonly machine: Machine;
  readonly startedAt: string;
  readonly settings: Omit<BenchOptions, "output">;
  readonly rows: readonly Row[];
  readonly measurements: readonly Measurement[];
}

/** Measures every arm at every concurrency, one after another and again in the next repetition, so that a busy spell of the machine hits all. */
export async function runBench(
  options: BenchOptions,
  nodeVersion: string,
  progress: (line: string) => void,
): Promise<BenchReport> {
  const machine = await describeMachine(nodeVersion);
  const startedAt = new Date().toISOString();
  const { output: _, ...settings } = options;
  const rigs: Rig[] = [];
  try {
    progress("starting two coordinators, four agents, two clients and two servers ...");
    for (const kind of ["none", "participant"] as const) rigs.push(await startRig(kind));
    const measurements = await measureAll(rigs, options, progress);
    return { machine, startedAt, settings, rows: summarize(measurements, options), measurements };
  } finally {
    for (const rig of rigs) await rig.stop();
  }
}

async function measureAll(
  rigs: readonly Rig[],
  { concurrencies, repetitions, durationMs, warmUpMs }: BenchOptions,
  progress: (line: string) => void,
): Promise<Measurement[]> {
  const rigOf = (kind: RigKind): Rig => {
    const found = rigs.find((rig) => rig.kind === kind);
    if (found === undefined) throw new RangeError(`no rig of kind ${kind} was started`);
    return found;
  };
  progress("warming up ...");
  const warmUpConcurrency = Math.max(...concurrencies);
  for (const arm of arms) await measure(rigOf(arm.rig), arm, warmUpConcurrency, 0, warmUpMs);
  const measurements: Measurement[] = [];
  for (let repetition = 1; repetition <= repetitions; repetition += 1) {
    for (const concurrency of concurrencies) {
      for (const arm of arms) {
        const times = arm.snapshots === "everySecond" ? 2 : 1;
        const one = await measure(rigOf(arm.rig), arm, concurrency, repetition, durationMs * times);
        progress(
          `${repetition} of ${repetitions}: ${concurrency} open, ${arm.name}: ${one.callsPerSecond.toFixed(0)} calls/s`,
        );
        measurements.push(one);
      }
    }
  }
  return measurements;
}
