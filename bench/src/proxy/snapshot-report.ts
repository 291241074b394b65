import { medianOf } from "../summary.ts";
import { busyLines, type Circumstances, circumstanceLines } from "./report.ts";
import { type SnapshotRound, stateBytes } from "./snapshots.ts";
import { tableLines } from "./table.ts";

interface SnapshotRow {
  readonly case: string;
  readonly callsPerSecond: number;
  readonly callsPerSecondWith: number;
  /** With to without, of each round; the median. */
  readonly throughputRatio: number;
  readonly p50RatioOfCalls: number;
  readonly p99RatioOfCalls: number;
  readonly snapshots: number;
  readonly exact: number;
  readonly failed: number;
  /** Of every process of every completed snapshot; NaN without any. */
  readonly pauseP50Us: number;
  readonly pauseP99Us: number;
  readonly pauseMaxUs: number;
  readonly pauses: number;
  readonly failures: number;
  /** Of the measurements without snapshots. */
  readonly coreShare: number;
}

export interface SnapshotReport extends Circumstances {
  readonly snapshotRows: readonly SnapshotRow[];
  readonly rounds: readonly SnapshotRound[];
}

/** What was promised. */
const throughputRatioMin = 0.98;
const pauseP99UsMax = 5_000;

export function snapshotReportOf(circumstances: Circumstances, rounds: readonly SnapshotRound[]): SnapshotReport {
  const snapshotRows = circumstances.options.cases.map(({ name }) =>
    rowOf(
      name,
      rounds.filter(({ without }) => without.case === name),
    ),
  );
  return { ...circumstances, snapshotRows, rounds };
}

function rowOf(name: string, rounds: readonly SnapshotRound[]): SnapshotRow {
  const median = (read: (round: SnapshotRound) => number) => medianOf(rounds.map(read));
  const sum = (read: (round: SnapshotRound) => number) => rounds.reduce((total, round) => total + read(round), 0);
  const pauses = rounds.flatMap(({ taken }) => taken.pausesUs).sort((a, b) => a - b);
  const at = (share: number) => pauses[Math.max(0, Math.ceil(share * pauses.length) - 1)] ?? Number.NaN;
  return {
    case: name,
    callsPerSecond: median(({ without }) => without.callsPerSecond),
    callsPerSecondWith: median((round) => round.with.callsPerSecond),
    throughputRatio: median((round) => round.with.callsPerSecond / round.without.callsPerSecond),
    p50RatioOfCalls: median((round) => round.with.p50Us / round.without.p50Us),
    p99RatioOfCalls: median((round) => round.with.p99Us / round.without.p99Us),
    snapshots: sum(({ taken }) => taken.completed + taken.failed),
    exact: sum(({ taken }) => taken.exact),
    failed: sum(({ taken }) => taken.failed),
    pauseP50Us: at(0.5),
    pauseP99Us: at(0.99),
    pauseMaxUs: at(1),
    pauses: pauses.length,
    coreShare: median(({ without }) => without.coreShare),
    failures: sum((round) => round.with.failures + round.without.failures),
  };
}

const heads = [
  "case",
  "per s",
  "with",
  "ratio",
  "at least",
  "",
  "call p50",
  "call p99",
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
  return [
    ...circumstanceLines(report),
    `- state: ${stateBytes / 1_024} KiB of JSON in each of both processes, captured exactly; grpc-js and the SDK at both ends`,
    "",
    ...tableLines(heads, report.snapshotRows.map(cellsOf)),
    "",
    "ratio: calls per second with a snapshot every second to those without, median of the rounds; call p50, p99: the same",
    "of the calls' latencies. pauses: how long a process's traffic was held for a cut, one for each process and snapshot.",
    ...busyLines(report.snapshotRows.map(({ coreShare }) => coreShare)),
  ];
}

function cellsOf(row: SnapshotRow): string[] {
  const ms = (us: number) => (Number.isNaN(us) ? "-" : (us / 1_000).toFixed(1));
  return [
    row.case,
    `${row.callsPerSecond.toFixed(0)}${row.failures > 0 ? ` (${row.failures} FAILED)` : ""}`,
    row.callsPerSecondWith.toFixed(0),
    row.throughputRatio.toFixed(3),
    throughputRatioMin.toFixed(2),
    row.throughputRatio >= throughputRatioMin ? "met" : "missed",
    row.p50RatioOfCalls.toFixed(2),
    row.p99RatioOfCalls.toFixed(2),
    `${row.snapshots}${row.failed > 0 ? ` (${row.failed} FAILED)` : ""}`,
    String(row.exact),
    String(row.pauses),
    ms(row.pauseP50Us),
    ms(row.pauseP99Us),
    ms(pauseP99UsMax),
    row.pauseP99Us < pauseP99UsMax ? "met" : "missed",
    ms(row.pauseMaxUs),
  ];
}
