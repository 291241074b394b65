import { medianOf } from "../summary.ts";
import type { Measurement } from "./measure.ts";
import type { WayName } from "./options.ts";

const peers = ["haproxy", "nginx"] as const satisfies readonly WayName[];

/** Agents against one other pair, in one case. Below 1: the agents are better, except for calls per second. */
export interface Ratio {
  readonly case: string;
  readonly peer: WayName;
  /** Of both hops. */
  readonly cpu: number;
  readonly callsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** What was promised; null where nothing was. */
  readonly cpuMax: number | null;
  readonly p50Max: number | null;
}

/** Promised against haproxy, for unary calls between load and echo programs that are light. */
function promisedOf(name: string, peer: WayName): Pick<Ratio, "cpuMax" | "p50Max"> {
  if (peer !== "haproxy" || !name.startsWith("unary-")) return { cpuMax: null, p50Max: null };
  if (name.startsWith("unary-10k@")) return { cpuMax: 1.2, p50Max: 1 };
  if (!name.startsWith("unary-100@")) return { cpuMax: null, p50Max: null };
  return { cpuMax: name === "unary-100@1" ? 1.3 : 0.8, p50Max: 1 };
}

/** Of each round, in which the ways ran one right after another, and of these the median: the machine's pace changes. */
export function ratiosOf(measurements: readonly Measurement[]): Ratio[] {
  const cases = [...new Set(measurements.map((one) => one.case))];
  return cases.flatMap((name) =>
    peers.flatMap((peer) => {
      const pairs = pairsOf(
        measurements.filter((one) => one.case === name),
        peer,
      );
      if (pairs.length === 0) return [];
      const median = (read: (one: Measurement) => number) =>
        medianOf(pairs.map(([agents, other]) => read(agents) / read(other)));
      return {
        case: name,
        peer,
        cpu: median(({ cpuUs: { hop1, hop2 } }) => hop1 + hop2),
        callsPerSecond: median(({ callsPerSecond }) => callsPerSecond),
        p50: median(({ p50Us }) => p50Us),
        p99: median(({ p99Us }) => p99Us),
        ...promisedOf(name, peer),
      };
    }),
  );
}

function pairsOf(measurements: readonly Measurement[], peer: WayName): [agents: Measurement, other: Measurement][] {
  return measurements
    .filter(({ way }) => way === "agents")
    .flatMap((agents) => {
      const other = measurements.find(({ way, round }) => way === peer && round === agents.round);
      return other === undefined ? [] : [[agents, other]];
    });
}
