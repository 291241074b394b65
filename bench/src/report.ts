import type { BenchReport } from "./bench.ts";
import type { Row } from "./summary.ts";

const heads = [
  "open",
  "",
  "calls/s",
  "p50 us",
  "p99 us",
  "CPU us/call",
  "client",
  "agent A",
  "agent B",
  "server",
  "pause",
];

/** Tables for people. */
export function reportLines({ machine, settings, rows, startedAt }: BenchReport): string[] {
  const { cpu, cores, memoryGib, kernel, node, commit, loadBefore } = machine;
  const cells = [heads, ...rows.map(cellsOf)];
  const widths = heads.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const textColumns = [1, 10];
  const lines = cells.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return textColumns.includes(column) ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ")
      .trimEnd(),
  );
  const perArm = rows.length / settings.concurrencies.length;
  const [head = "", ...body] = lines;
  return [
    `machine  ${cpu}, ${cores} cores, ${memoryGib} GiB, Linux ${kernel}, load before ${loadBefore}`,
    `program  Node.js ${node}, commit ${commit}, ${startedAt}`,
    `measured unary calls of 100 bytes, ${settings.repetitions} x ${settings.durationMs} ms each (with snapshots twice that), medians`,
    "",
    head,
    ...body.flatMap((line, index) => (index > 0 && index % perArm === 0 ? ["", line] : [line])),
    "",
    "direct: no agents. agents: a pair of them, applications that know nothing of Cutline. SDK: both applications with the",
    "participant SDK, captured exactly. CPU: time on a processor of all threads, per call. pause: how long a process's",
    "traffic was held for a cut.",
  ];
}

function cellsOf({ arm, concurrency, callsPerSecond, p50Us, p99Us, cpuUsPerCall, failures, snapshots }: Row): string[] {
  const { all, client, agentA, agentB, server } = cpuUsPerCall;
  const number = (value: number | null) => (value === null ? "-" : value.toFixed(0));
  return [
    String(concurrency),
    arm,
    number(callsPerSecond),
    number(p50Us),
    number(p99Us),
    number(all),
    number(client),
    number(agentA),
    number(agentB),
    number(server),
    `${pauseOf(snapshots)}${failures > 0 ? ` ${failures} CALLS FAILED` : ""}`,
  ];
}

function pauseOf(snapshots: Row["snapshots"]): string {
  if (snapshots === null) return "";
  const { completed, exact, failed, pauseP50Us, pauseMaxUs } = snapshots;
  const milliseconds = (us: number | null) => (us === null ? "-" : `${(us / 1_000).toFixed(1)} ms`);
  const counts = `snapshots ${completed}, exact ${exact}${failed > 0 ? `, FAILED ${failed}` : ""}`;
  return `p50 ${milliseconds(pauseP50Us)}, max ${milliseconds(pauseMaxUs)}; ${counts}`;
}
