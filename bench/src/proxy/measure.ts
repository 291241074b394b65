import type { Case } from "./cases.ts";
import { cpuTimeNowUs, cpuTimeWithEndedThreadsUs, residentMib } from "./cost.ts";
import { loadWithGrpcJs } from "./grpc-js-load.ts";
import { loadWithH2load } from "./h2load.ts";
import type { LoadResult, Sample } from "./load-run.ts";
import type { NativePrograms } from "./native.ts";
import { loadNatively } from "./native-load.ts";
import type { WayName } from "./options.ts";
import type { Way } from "./ways.ts";
import type { Workshop } from "./workshop.ts";

/** The programs that a call passes, in its order. */
export const passed = ["load", "hop1", "hop2", "echo"] as const;
export type Passed = (typeof passed)[number];

export interface Measurement extends LoadResult {
  readonly case: string;
  readonly way: WayName;
  readonly round: number;
  readonly callsPerSecond: number;
  /** Per call, or per message of a stream. NaN where it is not known, or where there is no such program. */
  readonly cpuUs: Readonly<Record<Passed, number>>;
  /**
   * Processor time of all these programs to the time that went by. On one core about 1; less: other programs had the
   * core, too, and calls per second and latencies are not those of a quiet machine.
   */
  readonly coreShare: number;
  /** Of both hops together, after the load. */
  readonly hopsMib: number;
}

interface Duration {
  readonly warmUpMs: number;
  readonly durationMs: number;
}

export interface Meter {
  measure(way: Way, one: Case, round: number, duration: Duration): Promise<Measurement>;
}

export function createMeter(workshop: Workshop, native: NativePrograms | undefined): Meter {
  const load = (way: Way, one: Case, { warmUpMs, durationMs }: Duration, sample: Sample): Promise<LoadResult> => {
    const { client, pair, name } = way;
    if (client !== undefined) {
      return loadWithGrpcJs(client, name === "agents" ? "agents" : "direct", one, warmUpMs, durationMs, sample);
    }
    if (one.kind === "unary") return loadWithH2load(workshop, pair, one, warmUpMs, durationMs, sample);
    if (native === undefined) throw new RangeError(`${one.name} needs the load program in C, which was not compiled`);
    return loadNatively(workshop, native, pair, one, warmUpMs, durationMs, sample);
  };
  return {
    async measure(way, one, round, duration) {
      const { pair, echo } = way;
      const lasting = [pair.hops[0]?.pid, pair.hops[1]?.pid, echo.program.pid];
      const times = { began: [] as number[], ended: [] as number[] };
      const result = await load(way, one, duration, (at, loadPid) => {
        const ofLoad = cpuTimeWithEndedThreadsUs(loadPid);
        times[at] = [ofLoad, ...lasting.map((pid) => (pid === undefined ? Number.NaN : cpuTimeNowUs(pid)))];
      });
      const perCall = (program: Passed): number => {
        const index = passed.indexOf(program);
        return ((times.ended[index] ?? Number.NaN) - (times.began[index] ?? Number.NaN)) / Math.max(1, result.calls);
      };
      const cpuUs = { load: perCall("load"), hop1: perCall("hop1"), hop2: perCall("hop2"), echo: perCall("echo") };
      const known = passed.map((program) => cpuUs[program]).filter((value) => !Number.isNaN(value));
      const allUs = result.calls * known.reduce((sum, value) => sum + value, 0);
      return {
        ...result,
        case: one.name,
        way: way.name,
        round,
        callsPerSecond: (result.calls * 1_000) / result.elapsedMs,
        cpuUs,
        coreShare: allUs / (1_000 * result.elapsedMs),
        hopsMib: pair.hops.reduce((sum, { pid }) => sum + residentMib(pid), 0),
      };
    },
  };
}
