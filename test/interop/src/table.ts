import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Behaviour } from "./behaviours.ts";
import type { Scale } from "./cases.ts";
import type { CaseResult } from "./matrix.ts";

const page = fileURLToPath(new URL("../../../docs/reference/interop.md", import.meta.url));
const begin = "<!-- interop: begin -->";
const end = "<!-- interop: end -->";
const noteMarks = ["¹", "²", "³", "⁴", "⁵"];

/** A row for each case, a column for each client and server, in Markdown. */
export function table(results: readonly CaseResult[]): string {
  const pairs = unique(results.map(({ client, server }) => `${client} → ${server}`));
  const notes = unique(results.flatMap(({ without }) => (without === undefined ? [] : [without])));
  const lines = [`| case | ${pairs.join(" | ")} |`, `| --- |${" --- |".repeat(pairs.length)}`];
  for (const name of unique(results.map((result) => result.name))) {
    const cells = pairs.map((pair) => {
      const result = results.find((one) => one.name === name && `${one.client} → ${one.server}` === pair);
      if (result === undefined) return "-";
      const mark = result.without === undefined ? "" : (noteMarks[notes.indexOf(result.without)] ?? "*");
      return `${result.problems.length === 0 ? "same" : "DIFFERENT"}${mark}`;
    });
    lines.push(`| ${name} | ${cells.join(" | ")} |`);
  }
  return [...lines, "", ...notes.map((note, index) => `${noteMarks[index] ?? "*"} ${note}.  `)].join("\n").trimEnd();
}

/** Writes the table between the markers of docs/reference/interop.md. */
export async function saveTable(
  results: readonly CaseResult[],
  behaviours: readonly Behaviour[],
  scale: Scale,
): Promise<void> {
  const text = await readFile(page, "utf8");
  const [before, rest] = text.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`${page} has no lines ${begin} and ${end}`);
  const failed = results.filter(({ problems }) => problems.length > 0);
  const summary =
    `${results.length - failed.length} of ${results.length} are met and the same. concurrent_large_unary: ` +
    `${scale.concurrentCalls} calls at a time; rpc_soak and channel_soak: ${scale.soakIterations} iterations.`;
  const problems = failed.map(
    ({ name, client, server, problems }) => `- ${name}, ${client} → ${server}: ${problems.join("; ")}`,
  );
  const rows = behaviours.map(({ name, outcome }) => `| ${name} | ${outcome} |`);
  const tested = ["| behaviour | |", "| --- | --- |", ...rows].join("\n");
  const body = [summary, table(results), ...(problems.length > 0 ? [problems.join("\n")] : []), tested].join("\n\n");
  await writeFile(page, `${before}${begin}\n\n${body}\n\n${end}${after}`);
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
