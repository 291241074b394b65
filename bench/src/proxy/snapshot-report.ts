import type { SnapshotsTaken } from "../snapshots.ts";
import { medianOf } from "../summary.ts";
import { type Estimate, estimateOf, type Verdict, verdictOf } from "./interval.ts";
import { busyLines, type Circumstances, circumstanceLines } from "./report.ts";
import { type Captured, type LoadLevel, type SnapshotMeasurement, stateBytes } from "./snapshots.ts";
import { tableLines } from "./table.ts";

interface SnapshotRow {
  readonly case: string;
  readonly captured: Captured;
  /** Without snapshots; median. */
  readonly callsPerSecond: number;
  /** Calls per second with snapshots to those without. */
  readonly throughput: Estimate;
  readonly throughputVerdict: Verdict;
  /** Processor time of all four programs for a call, without to with: what other programs take hardly changes it. */
  readonly cpu: Estimate;
  readonly cpuVerdict: Verdict;
  /** Of one snapshot without calls, all four programs. */
  readonly costMs: number;
  readonly pauses: readonly PauseRow[];
  readonly failures: number;
  /** Of the stretches without snapshots. */
  readonly coreShare: number;
}

interface PauseRow {
  readonly load: LoadLevel;
  readonly snapshots: number;
  readonly exact: number;
  readonly failed: number;
  /** Of every process of every completed snapshot; NaN without any. */
  readonly pauses: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

export interface SnapshotReport extends Circumstances {
  readonly snapshotRows: readonly SnapshotRow[];
  readonly measurements: readonly SnapshotMeasurement[];
}

/** What was promised. */
const throughputRatioMin = 0.98;
const pauseP99UsMax = 5_000;

export function snapshotReportOf(
  circumstances: Circumstances,
  measurements: readonly SnapshotMeasurement[],
): SnapshotReport {
  return { ...circumstances, snapshotRows: measurements.map(rowOf), measurements };
}

function rowOf({ case: name, captured, pairs, pauses, costMs, failures }: SnapshotMeasurement): SnapshotRow {
  const throughput = estimateOf(pairs.map((pair) => pair.with.callsPerSecond / pair.without.callsPerSecond));
  const cpu = estimateOf(pairs.map((pair) => pair.without.cpuUs / pair.with.cpuUs));
  return {
    case: name,
    captured,
    callsPerSecond: medianOf(pairs.map(({ without }) => without.callsPerSecond)),
    throughput,
    throughputVerdict: verdictOf(throughput, throughputRatioMin),
    cpu,
    cpuVerdict: verdictOf(cpu, throughputRatioMin),
    costMs,
    pauses: pauses.map(({ load, taken }) => pauseRowOf(load, taken)),
    failures,
    coreShare: medianOf(pairs.map(({ without }) => without.coreShare)),
  };
}

function pauseRowOf(load: LoadLevel, { completed, exact, failed, pausesUs }: SnapshotsTaken): PauseRow {
  const sorted = [...pausesUs].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  const pauses = sorted.length;
  return { load, snapshots: completed + failed, exact, failed, pauses, p50Us: at(0.5), p99Us: at(0.99), maxUs: at(1) };
}

const throughputHeads = [
  "case",
  "captured",
  "per s",
  "ratio",
  "95 %",
  "at least",
  "",
  "by CPU",
  "95 %",
  "",
  "core %",
  "CPU ms",
];
const pauseHeads = [
  "case",
  "captured",
  "load",
  "snapshots",
  "exact",
  "pauses",
  "p50 ms",
  "p99 ms",
  "below",
  "",
  "max ms",
];

export function snapshotReportLines(report: SnapshotReport): string[] {
  const { snapshotRows, options } = report;
  return [
    ...circumstanceLines(report),
    `- object, bytes, view: ${stateBytes / 1_024} KiB in each of both processes, captured exactly, grpc-js and the SDK at both ends;`,
    "  `JSON.stringify` writes an object at the instant, bytes are copied there, a view is an iterable of JSON that is written afterwards",
    "- opaque: load and echo in C, which know nothing of snapshots, and no state",
    "",
    ...tableLines(throughputHeads, snapshotRows.map(throughputCells)),
    "",
    ...tableLines(
      pauseHeads,
      snapshotRows.flatMap((row) => row.pauses.map((each) => pauseCells(row, each))),
    ),
    "",
    `ratio: calls per second with a snapshot every second to those without, of ${options.rounds} pairs of stretches of`,
    `${options.durationMs / 1_000} s under a load that goes on, in the order ABBA; by CPU: processor time of all programs for a call, without to with.`,
    "95 %: where the ratio lies (Hodges and Lehmann's estimate, Wilcoxon's interval); met: all of the interval is; missed:",
    "nothing of it is; open: neither. CPU ms: of a snapshot without calls, all four programs; of one core, with a snapshot",
    "every second, a thousandth part for each of them is gone. pauses: how long a process's traffic was held for a cut, one for each process and",
    "snapshot, with a snapshot every second. load: full, of the stretches above: every program waits for its core all the time, and a",
    "pause has some of these waits in it; then, with all programs on all cores: half, calls begin at half of that rate; idle, no calls.",
    ...busyLines(snapshotRows.map(({ coreShare }) => coreShare)),
  ];
}

function throughputCells(row: SnapshotRow): string[] {
  const interval = ({ from, to }: Estimate) => `${from.toFixed(3)} to ${to.toFixed(3)}`;
  return [
    row.case,
    row.captured,
    `${row.callsPerSecond.toFixed(0)}${row.failures > 0 ? ` (${row.failures} FAILED)` : ""}`,
    row.throughput.ratio.toFixed(3),
    interval(row.throughput),
    throughputRatioMin.toFixed(2),
    row.throughputVerdict,
    row.cpu.ratio.toFixed(3),
    interval(row.cpu),
    row.cpuVerdict,
    (100 * row.coreShare).toFixed(0),
    row.costMs.toFixed(1),
  ];
}

function pauseCells({ case: name, captured }: SnapshotRow, row: PauseRow): string[] {
  const ms = (us: number) => (Number.isNaN(us) ? "-" : (us / 1_000).toFixed(1));
  // What is promised is the pause of an exact capture of a state.
  const isPromised = captured !== "opaque";
  return [
    name,
    captured,
    row.load,
    `${row.snapshots}${row.failed > 0 ? ` (${row.failed} FAILED)` : ""}`,
    String(row.exact),
    String(row.pauses),
    ms(row.p50Us),
    ms(row.p99Us),
    isPromised ? ms(pauseP99UsMax) : "",
    isPromised ? (row.p99Us < pauseP99UsMax ? "met" : "missed") : "",
    ms(row.maxUs),
  ];
}
