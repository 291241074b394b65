import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { ChaosOptions } from "./chaos.ts";
import type { FaultCount, FaultKind } from "./faults.ts";
import type { PictureCounts } from "./pictures.ts";

export interface ChaosResult {
  readonly options: ChaosOptions;
  readonly tookMs: number;
  readonly messages: number;
  readonly lost: number;
  readonly doubled: number;
  readonly reordered: number;
  readonly damaged: number;
  /** Ended OK, by kind. */
  readonly calls: ReadonlyMap<string, number>;
  readonly endedByRestarts: number;
  readonly refusedAtRestarts: number;
  readonly cancelledByRestarts: number;
  readonly lastEndedAfterMs: number;
  readonly restarts: number;
  readonly faults: ReadonlyMap<FaultKind, FaultCount>;
  readonly links: number;
  readonly resumes: number;
  readonly pictures: PictureCounts;
  readonly wrong: number;
  /** Everything that should not be; empty when the run is right. */
  readonly problems: readonly string[];
}

const page = fileURLToPath(new URL("../../../docs/reference/chaos.md", import.meta.url));
const begin = "<!-- chaos: begin -->";
const end = "<!-- chaos: end -->";

export function table(result: ChaosResult): string {
  const { pictures, calls } = result;
  const failed = [...pictures.failed].map(([reason, count]) => `${count} ${reason}`).join(", ");
  const kinds = [...calls].map(([kind, count]) => `${count} ${kind}`).join(", ");
  const callsOk = [...calls.values()].reduce((sum, count) => sum + count, 0);
  const rows: readonly (readonly [string, string | number])[] = [
    ["messages received", result.messages],
    ["lost", result.lost],
    ["doubled", result.doubled],
    ["re-ordered", result.reordered],
    ["damaged", result.damaged],
    ["calls that ended OK", `${callsOk} (${kinds})`],
    ["restarts of agent and application", result.restarts],
    [
      "calls in flight ended `UNAVAILABLE` by them",
      `${result.endedByRestarts}, the last ${Math.max(0, result.lastEndedAfterMs)} ms after the new agent served`,
    ],
    ["calls refused `UNAVAILABLE` meanwhile", result.refusedAtRestarts],
    ["served calls cancelled by them", result.cancelledByRestarts],
    ["links, and resumes of them", `${result.links}, ${result.resumes}`],
    ["snapshots", pictures.taken],
    ["exact, and right message by message", pictures.exact],
    ["flagged", pictures.flagged],
    ["failed, with a reason", failed === "" ? 0 : failed],
    ["wrong", result.wrong],
    ["in flight in exact snapshots", `${pictures.inFlight} messages, ${pictures.tokensInFlight} tokens`],
    ["calls checked in them", pictures.callsChecked],
    ["time", `${(result.tookMs / 1_000).toFixed(0)} s`],
  ];
  const faults = [...result.faults].sort(([a], [b]) => a.localeCompare(b));
  return [
    "| what | count |",
    "| --- | --- |",
    ...rows.map(([what, count]) => `| ${what} | ${count} |`),
    "",
    "| fault | injected | connections ended |",
    "| --- | --- | --- |",
    ...faults.map(([kind, { injected, cuts }]) => `| ${kind} | ${injected} | ${cuts} |`),
  ].join("\n");
}

/** Writes the result between the markers of docs/reference/chaos.md. */
export async function saveResult(result: ChaosResult, command: string): Promise<void> {
  const text = await readFile(page, "utf8");
  const [before, rest] = text.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`${page} has no lines ${begin} and ${end}`);
  const problems = result.problems.map((problem) => `- ${problem}`).join("\n");
  const verdict = problems === "" ? "Nothing was found wrong." : `Found wrong:\n\n${problems}`;
  const body = [`\`${command}\`, seed ${result.options.seed}:`, table(result), verdict].join("\n\n");
  await writeFile(page, `${before}${begin}\n\n${body}\n\n${end}${after}`);
}
