/** `npm run bench:proxy`: see `--help`. */
import { runProxyBench } from "./bench.ts";
import { parseProxyOptions, proxyUsage } from "./options.ts";
import { reportLines } from "./report.ts";
import { performanceFile, saveResult } from "./save.ts";
import { snapshotReportLines } from "./snapshot-report.ts";

const exitFailed = 1;
const exitUsage = 2;

const parsed = parseProxyOptions(process.argv.slice(2));
if (parsed.outcome === "help") process.stdout.write(`${proxyUsage}\n`);
else if (parsed.outcome === "invalid") {
  process.stderr.write(`${parsed.message}\n\n${proxyUsage}\n`);
  process.exitCode = exitUsage;
} else {
  const { options } = parsed;
  const { pid, execPath: executable, env, version: nodeVersion } = process;
  const progress = (line: string) => void process.stderr.write(`${line}\n`);
  try {
    const report = await runProxyBench(options, { pid, executable, path: env.PATH ?? "", nodeVersion }, progress);
    const lines = "rows" in report ? reportLines(report) : snapshotReportLines(report);
    process.stdout.write(`${options.output === "json" ? JSON.stringify(report, undefined, 2) : lines.join("\n")}\n`);
    const rows = "rows" in report ? report.rows : report.snapshotRows;
    const isFailed = rows.some(({ failures }) => failures > 0);
    if (isFailed) process.exitCode = exitFailed;
    else if (options.save === "save") {
      await saveResult(options, lines);
      progress(`saved in ${performanceFile}`);
    }
  } catch (error) {
    process.stderr.write(`the bench failed: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = exitFailed;
  }
}
