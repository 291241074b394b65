import { overlapShare, quantilesOf } from "./numbers.ts";
import type { SoakOptions } from "./options.ts";
import type { Half, ProcessKind, Tally } from "./tally.ts";

export interface SoakFigures {
  readonly elapsedMs: number;
  readonly payments: number;
  readonly residentBytesMax: ReadonlyMap<string, number | undefined>;
  readonly harm: readonly string[];
}

const kindNames: Readonly<Record<ProcessKind, string>> = { sdk: "SDK branches", opaque: "opaque branch" };
const halfNames: Readonly<Record<Half, string>> = { first: "one after another", second: "overlapping" };

export function progressLine(tally: Tally, options: SoakOptions, elapsedMs: number, paymentsPerSecond: number): string {
  const { conserved, flagged, failed, violated } = tally.counts;
  const pause = quantilesOf(tally.pausesUs.sdk);
  return [
    `${(elapsedMs / 1_000).toFixed(0).padStart(5)} s`,
    `${tally.ended}/${options.snapshots}`,
    `exact ${conserved}`,
    `flagged ${flagged}`,
    `failed ${failed}`,
    `VIOLATIONS ${violated}`,
    `SDK pause p50 ${ms(pause.p50)}`,
    `${paymentsPerSecond.toFixed(0)} payments/s`,
  ].join("  ");
}

export function reportLines(tally: Tally, options: SoakOptions, figures: SoakFigures): string[] {
  const { counts } = tally;
  const seconds = figures.elapsedMs / 1_000;
  const inFlight = quantilesOf(tally.inFlightMessages);
  const lines = [
    `snapshots         ${tally.ended} of ${options.snapshots}, in ${seconds.toFixed(1)} s (${(tally.ended / seconds).toFixed(1)}/s)`,
    `exact             ${counts.conserved}, all of them right to the cent`,
    `flagged           ${counts.flagged}, ${counts.flaggedAndWrong} of them with a wrong total`,
    ...flagLines(tally),
    `failed            ${counts.failed}${[...tally.failures].map(([reason, count]) => `, ${count} ${reason}`).join("")}`,
    `violations        ${counts.violated}`,
    `verified offline  ${counts.verified}`,
    `in flight         p50 ${inFlight.p50}  max ${inFlight.max} messages a snapshot, ${mib(tally.inFlightBytes)} in all`,
    `calls in process  ${tally.callsInProcess} handlers captured where they stood`,
  ];
  for (const kind of ["sdk", "opaque"] as const) {
    lines.push(timesLine(`pause, ${kindNames[kind]}`, tally.pausesUs[kind].map(millisecondsOf)));
  }
  lines.push(timesLine("of it, waiting for sections", tally.lockWaitsUs.map(millisecondsOf)));
  for (const half of ["first", "second"] as const) {
    if (tally.durationsMs[half].length > 0)
      lines.push(timesLine(`duration, ${halfNames[half]}`, tally.durationsMs[half]));
  }
  const spans = tally.spans.second;
  if (spans.length > 1) {
    // The last ones end alone, because no more are started.
    const within = {
      fromMs: Math.min(...spans.map(({ fromMs }) => fromMs)),
      toMs: Math.max(...spans.map(({ fromMs }) => fromMs)),
    };
    const percent = (least: number) => (100 * overlapShare(spans, within, least)).toFixed(1);
    lines.push(
      `overlap           at least 2 at a time for ${percent(2)} % of the second half, ${options.overlap} for ${percent(options.overlap)} %`,
    );
  }
  lines.push(`traffic           ${(figures.payments / seconds).toFixed(0)} payments/s meanwhile`);
  const memory = [...figures.residentBytesMax].map(
    ([name, bytes]) => `${name} ${bytes === undefined ? "unknown" : mib(bytes)}`,
  );
  lines.push(`memory at most    ${memory.join(", ")}`);
  lines.push(`harm to traffic   ${figures.harm.length === 0 ? "none" : figures.harm.join("; ")}`);
  if (tally.messages.length > 0) lines.push("", ...tally.messages);
  return lines;
}

function flagLines(tally: Tally): string[] {
  const rows = [...tally.flags.values()].sort((a, b) => b.count - a.count);
  return rows.map(
    ({ flag, count, example }) =>
      `  ${String(count).padStart(6)}  ${kindNames[flag.kind]}, ${flag.processId}: ${flag.code} (${example})`,
  );
}

function timesLine(name: string, valuesMs: readonly number[]): string {
  const { count, p50, p99, max } = quantilesOf(valuesMs);
  return `${name.padEnd(28)}  p50 ${ms(p50 * 1_000)}  p99 ${ms(p99 * 1_000)}  max ${ms(max * 1_000)}  (${count})`;
}

function millisecondsOf(microseconds: number): number {
  return microseconds / 1_000;
}

function ms(microseconds: number): string {
  return `${(microseconds / 1_000).toFixed(1)} ms`;
}

function mib(bytes: number): string {
  return `${(bytes / 1_024 / 1_024).toFixed(1)} MiB`;
}
