import { createReadStream } from "node:fs";
import { addAbortSignal, type Readable } from "node:stream";
import type { Command } from "commander";
import type { Context, Run } from "../context.ts";
import { CliError, exitCodes, interrupted, messageOf, systemCodeOf } from "../errors.ts";
import { emit } from "../output/emit.ts";
import type { Paint } from "../output/palette.ts";
import { escapeLine } from "../output/text.ts";
import { verifyGlobalState } from "../verify/document.ts";
import type { VerifyReport } from "../verify/report.ts";

/** Violations that are printed for people; -o json has them all. */
const violationsShownMax = 100;

export function addVerify(program: Command, run: Run): void {
  program
    .command("verify")
    .description("check a downloaded global state by itself, without a coordinator")
    .argument("<file>", 'what "cutline state ID -f FILE" wrote, in either form; - for stdin')
    .action((file: string) => run((context) => verify(context, file)));
}

async function verify(context: Context, file: string): Promise<number> {
  const { stdin, signal } = context.io;
  const source = file === "-" ? addAbortSignal(signal, stdin.stream) : createReadStream(file, { signal });
  const report = await verifyGlobalState(read(source, file, signal));
  if (!context.quiet || context.format === "json" || context.format === "yaml") {
    emit(context, report, () => formatVerdict(report, context.paint));
  }
  return report.verdict === "valid" ? exitCodes.ok : exitCodes.failed;
}

async function* read(source: Readable, file: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    if (signal.aborted) throw interrupted();
    if (systemCodeOf(error) === "ENOENT") {
      throw new CliError("FileMissing", exitCodes.notFound, `there is no file ${file}`, { cause: error });
    }
    const message = `cannot read ${file}: ${messageOf(error)}`;
    throw new CliError("FileUnreadable", exitCodes.usage, message, { cause: error });
  }
}

function formatVerdict(report: VerifyReport, paint: Paint): string {
  const nameCells = Math.max(...report.checks.map(({ name }) => name.length));
  const lines = report.checks.map(({ name, verdict, message }) => {
    const mark = verdict === "ok" ? paint("good", "ok  ") : paint("bad", "FAIL");
    return `${mark}  ${name.padEnd(nameCells)}  ${escapeLine(message)}`;
  });
  const shown = report.violations.slice(0, violationsShownMax);
  const total = report.checks.reduce((sum, { violations }) => sum + violations, 0);
  if (total > 0) {
    lines.push("", "Violations:");
    for (const { check, code, message } of shown) lines.push(escapeLine(`  ${check}  ${code}: ${message}`));
    if (total > shown.length) lines.push(`  and ${total - shown.length} more; -o json lists them`);
  }
  const id = escapeLine(report.snapshotId);
  const quality = [report.exact ? "exact" : "not exact", ...(report.partial ? ["partial"] : [])].join(", ");
  lines.push(
    "",
    report.verdict === "valid"
      ? paint("good", `The global state of ${id} is consistent and complete (${quality}).`)
      : paint("bad", `The global state of ${id} does not prove itself.`),
  );
  return `${lines.join("\n")}\n`;
}
