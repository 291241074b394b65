import type { Snapshot } from "@cutline/proto/snapshot";
import { type Paint, phaseColour } from "./palette.ts";
import { type Cell, type Column, formatTable, type TableStyle } from "./table.ts";
import { formatAge, formatBytes, formatDurationMs, formatPairs } from "./values.ts";

const columns: readonly Column[] = [
  { title: "ID" },
  { title: "PHASE" },
  { title: "PROCESSES", align: "right" },
  { title: "CHANNELS", align: "right" },
  { title: "INFLIGHT", align: "right" },
  { title: "EXACT" },
  { title: "AGE", align: "right" },
];

const wideColumns: readonly Column[] = [
  ...columns,
  { title: "DURATION", align: "right" },
  { title: "BYTES", align: "right" },
  { title: "PARTIAL" },
  { title: "ATTEMPT" },
  { title: "INITIATOR", cellsMin: 9 },
  { title: "LABELS", cellsMin: 6 },
  { title: "REASON", cellsMin: 6 },
];

/** One snapshot a row. */
export function formatSnapshots(
  snapshots: readonly Snapshot[],
  nowMs: number,
  shape: "table" | "wide",
  style: TableStyle,
): string {
  const rows = snapshots.map((snapshot) => {
    const row = narrowRow(snapshot, nowMs);
    return shape === "wide" ? [...row, ...wideCells(snapshot)] : row;
  });
  return formatTable(shape === "wide" ? wideColumns : columns, rows, style);
}

function narrowRow(snapshot: Snapshot, nowMs: number): Cell[] {
  const { progress } = snapshot;
  return [
    snapshot.id,
    { text: snapshot.phase, colour: phaseColour(snapshot.phase) },
    `${progress?.processesCut ?? 0}/${progress?.processesTotal ?? 0}`,
    `${progress?.channelsClosed ?? 0}/${progress?.channelsTotal ?? 0}`,
    String(progress?.inFlightMessages ?? 0),
    exactCell(snapshot),
    formatAge(snapshot.createdAt, nowMs),
  ];
}

function wideCells(snapshot: Snapshot): Cell[] {
  return [
    snapshot.endedAt === "" ? "-" : formatDurationMs(snapshot.durationMs),
    formatBytes(snapshot.progress?.storedBytes ?? 0),
    snapshot.phase === "Completed" ? yesNo(snapshot.partial) : "-",
    `${snapshot.attempt}/${snapshot.attemptsMax}`,
    orDash(snapshot.initiator),
    orDash(formatPairs(snapshot.labels)),
    orDash(snapshot.reason),
  ];
}

/** Only a Completed snapshot can be exact or not. */
function exactCell(snapshot: Snapshot): Cell {
  if (snapshot.phase !== "Completed") return "-";
  return { text: yesNo(snapshot.exact), colour: snapshot.exact ? "good" : "warn" };
}

export function yesNo(value: boolean): string {
  return value ? "yes" : "no";
}

export function orDash(text: string): string {
  return text === "" ? "-" : text;
}

export function paintPhase(paint: Paint, phase: string): string {
  const colour = phaseColour(phase);
  return colour === undefined ? phase : paint(colour, phase);
}

export function isTerminal(phase: string): boolean {
  return phase === "Completed" || phase === "Failed" || phase === "Aborted";
}
