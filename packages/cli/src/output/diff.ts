import type { ChannelSum, ProcessDiff, SnapshotDiff } from "../diff/compare.ts";
import { isEmpty } from "../diff/compare.ts";
import type { JsonDifference } from "../diff/json-paths.ts";
import { yesNo } from "./snapshots.ts";
import { formatTable, type TableStyle } from "./table.ts";
import { escapeLine, truncate } from "./text.ts";
import { countOf, formatBytes, formatDurationMs } from "./values.ts";

/** Of a value of a state, in one line. */
const valueCellsMax = 60;

export function formatDiff(diff: SnapshotDiff, style: TableStyle): string {
  const { before, after, apartMs, inFlight, exact } = diff;
  const apart = apartMs === undefined ? "" : `, ${formatDurationMs(Math.abs(apartMs))} apart`;
  const head = style.paint("bold", escapeLine(`${before} -> ${after}${apart}`));
  if (isEmpty(diff)) return `${head}\nno difference\n`;
  const sections: string[] = [];
  if (exact.before !== exact.after) sections.push(`Exact: ${yesNo(exact.before)} -> ${yesNo(exact.after)}\n`);
  if (diff.processes.length > 0) sections.push(processesOf(diff.processes, style));
  const states = diff.processes.filter(({ paths, notCompared }) => paths !== undefined || notCompared !== undefined);
  sections.push(...states.map((process) => stateOf(process, style)));
  if (diff.channels.length > 0) sections.push(channelsOf(diff, style));
  if (inFlight.before !== inFlight.after) {
    sections.push(`In flight: ${countOf(inFlight.before, "message")} -> ${inFlight.after}\n`);
  }
  return `${head}\n\n${sections.join("\n")}`;
}

const words: Readonly<Record<ProcessDiff["change"], string>> = {
  added: "only in the later one",
  removed: "only in the earlier one",
  restarted: "restarted",
  state: "other state",
  calls: "other calls in process",
};

function processesOf(processes: readonly ProcessDiff[], style: TableStyle): string {
  return formatTable(
    [{ title: "PROCESS", cellsMin: 16 }, { title: "CHANGE" }, { title: "STATE", align: "right" }],
    processes.map(({ id, change, bytes }) => [
      id,
      { text: words[change], colour: change === "added" ? "good" : change === "removed" ? "bad" : undefined },
      bytes === undefined ? "-" : `${formatBytes(bytes.before)} -> ${formatBytes(bytes.after)}`,
    ]),
    style,
  );
}

function stateOf({ id, paths = [], more, notCompared }: ProcessDiff, style: TableStyle): string {
  const lines = [style.paint("bold", escapeLine(`State of ${id}:`))];
  if (notCompared !== undefined) lines.push(escapeLine(`  not compared: ${notCompared}`));
  for (const difference of paths) lines.push(...linesOf(difference, style));
  if (more === true) lines.push(`  and more; -o json has as many, --paths N asks for others`);
  return `${lines.join("\n")}\n`;
}

function linesOf(difference: JsonDifference, { paint }: TableStyle): string[] {
  const lines = [`  ${escapeLine(difference.path)}`];
  if ("before" in difference) lines.push(paint("bad", `  - ${shown(difference.before)}`));
  if ("after" in difference) lines.push(paint("good", `  + ${shown(difference.after)}`));
  return lines;
}

function shown(value: unknown): string {
  return truncate(escapeLine(JSON.stringify(value) ?? ""), valueCellsMax);
}

function channelsOf({ channels }: SnapshotDiff, style: TableStyle): string {
  const cell = (sum: ChannelSum | undefined, of: keyof ChannelSum) => (sum === undefined ? "-" : String(sum[of]));
  return formatTable(
    [
      { title: "FROM", cellsMin: 16 },
      { title: "TO", cellsMin: 16 },
      { title: "CHANNELS", align: "right" },
      { title: "FRAMES IN FLIGHT", align: "right" },
    ],
    channels.map(({ from, to, before, after }) => [
      from,
      to,
      `${cell(before, "channels")} -> ${cell(after, "channels")}`,
      `${cell(before, "inFlight")} -> ${cell(after, "inFlight")}`,
    ]),
    style,
  );
}
