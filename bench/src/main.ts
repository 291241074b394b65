/** `npm run bench`: see `--help`. */
import { runBench } from "./bench.ts";
import { parseOptions, usage } from "./options.ts";
import { reportLines } from "./report.ts";

const exitFailed = 1;
const exitUsage = 2;

const parsed = parseOptions(process.argv.slice(2));
if (parsed.outcome === "help") process.stdout.write(`${usage}\n`);
else if (parsed.outcome === "invalid") {
  process.stderr.write(`${parsed.message}\n\n${usage}\n`);
  process.exitCode = exitUsage;
} else {
  const { options } = parsed;
  try {
    const report = await runBench(options, process.version, (line) => void process.stderr.write(`${line}\n`));
    const text = options.output === "json" ? JSON.stringify(report, undefined, 2) : reportLines(report).join("\n");
    process.stdout.write(`${text}\n`);
    if (report.rows.some(({ failures, snapshots }) => failures > 0 || (snapshots?.failed ?? 0) > 0)) {
      process.exitCode = exitFailed;
    }
  } catch (error) {
    process.stderr.write(`the bench failed: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = exitFailed;
  }
}
