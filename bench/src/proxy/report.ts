import type { Machine } from "../machine.ts";
import type { Measurement } from "./measure.ts";
import type { ProxyOptions } from "./options.ts";
import { type Ratio, ratiosOf } from "./ratios.ts";
import { type ProxyRow, summarizeWays } from "./summary.ts";
import { tableLines } from "./table.ts";
import type { Versions } from "./tools.ts";

/** What was measured, where, and with what. */
export interface Circumstances {
  readonly machine: Machine;
  readonly versions: Versions;
  readonly startedAt: string;
  readonly options: ProxyOptions;
}

export interface ProxyReport extends Circumstances {
  readonly rows: readonly ProxyRow[];
  readonly ratios: readonly Ratio[];
  readonly measurements: readonly Measurement[];
}

export function reportOf(circumstances: Circumstances, measurements: readonly Measurement[]): ProxyReport {
  const { cases, ways } = circumstances.options;
  const rows = summarizeWays(measurements, cases, ways);
  return { ...circumstances, rows, ratios: ratiosOf(measurements), measurements };
}

const shapes = {
  "one-core": "all programs on one core",
  "two-cores": "load and first hop on one core, second hop and echo on another",
};

/** The lines that every result begins with. */
export function circumstanceLines({ machine, versions, startedAt, options }: Circumstances): string[] {
  const { cpu, cores, memoryGib, kernel, node, commit, loadBefore } = machine;
  const { rounds, durationMs, shape, hops, agentCode } = options;
  const others = Object.entries(versions).map(([name, version]) => `, ${name} ${version}`);
  const code = agentCode === "built" ? "agents as compiled" : "agents from their TypeScript";
  const between = hops === "tls" ? "mutual TLS 1.3 between the hops" : "plain TCP between the hops";
  return [
    `- machine: ${cpu}, ${cores} cores, ${memoryGib} GiB, Linux ${kernel}, load before ${loadBefore}`,
    `- programs: commit ${commit}, Node.js ${node}${others.join("")}; ${code}; ${startedAt}`,
    `- measured: medians of ${rounds} x ${durationMs} ms, ${shapes[shape]}, ${between}`,
  ];
}

const wayHeads = [
  "case",
  "way",
  "per s",
  "p50 us",
  "p99 us",
  "hops CPU us",
  "min to max",
  "hop 1",
  "hop 2",
  "load",
  "echo",
  "core %",
  "hops MiB",
];
const ratioHeads = ["case", "agents to", "CPU", "at most", "", "p50", "at most", "", "p99", "per s"];

export function reportLines(report: ProxyReport): string[] {
  const lines = [...circumstanceLines(report), "", ...tableLines(wayHeads, report.rows.map(wayCells))];
  if (report.ratios.length > 0) lines.push("", ...tableLines(ratioHeads, report.ratios.map(ratioCells)));
  return [
    ...lines,
    "",
    "CPU: microseconds on a processor, all threads, per call (streams: per message), of both hops together and of each",
    "program. core %: their processor time to the time that went by; on one core, what is missing to 100 went to other",
    "programs. Ratios: agents to the other pair in the same round, the median of all rounds.",
    ...busyLines(report.rows.map(({ coreShare }) => coreShare)),
  ];
}

const quietShareMin = 0.9;

/** Says so when the machine was not quiet. */
export function busyLines(coreShares: readonly number[]): string[] {
  const busy = coreShares.filter((share) => share < quietShareMin);
  if (busy.length === 0) return [];
  return [
    "",
    `The machine was busy: in ${busy.length} of ${coreShares.length} rows the measured programs had less than ${100 * quietShareMin} % of the core.`,
    "CPU times suffer less from that than calls per second and latencies; repeat it on a quiet machine.",
  ];
}

function wayCells({
  case: name,
  way,
  callsPerSecond,
  p50Us,
  p99Us,
  cpuUs,
  hopsUs,
  coreShare,
  hopsMib,
  failures,
}: ProxyRow): string[] {
  const us = (value: number | null) => (value === null ? "-" : value.toFixed(1));
  return [
    name,
    way,
    `${callsPerSecond.toFixed(0)}${failures > 0 ? ` (${failures} FAILED)` : ""}`,
    p50Us.toFixed(0),
    p99Us.toFixed(0),
    us(hopsUs?.median ?? null),
    hopsUs === null ? "-" : `${us(hopsUs.min)} to ${us(hopsUs.max)}`,
    ...[cpuUs.hop1, cpuUs.hop2, cpuUs.load, cpuUs.echo].map(us),
    (100 * coreShare).toFixed(0),
    hopsUs === null ? "-" : hopsMib.toFixed(0),
  ];
}

function ratioCells({ case: name, peer, cpu, cpuMax, p50, p50Max, p99, callsPerSecond }: Ratio): string[] {
  const against = (value: number, max: number | null) =>
    max === null ? [value.toFixed(2), "", ""] : [value.toFixed(2), max.toFixed(1), value <= max ? "met" : "missed"];
  return [name, peer, ...against(cpu, cpuMax), ...against(p50, p50Max), p99.toFixed(2), callsPerSecond.toFixed(2)];
}
