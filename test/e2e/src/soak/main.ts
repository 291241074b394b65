/** `npm run soak -- --snapshots 1000`: see `--help`. */
import { parseOptions, usage } from "./options.ts";
import { runSoak } from "./soak.ts";

const exitWrong = 1;
const exitUsage = 2;
const exitInterrupted = 130;

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // The second one is impatience; what was started is killed at the exit.
    if (interruption.signal.aborted) process.exit(exitInterrupted);
    interruption.abort();
  });
}

const print = (line: string) => void process.stdout.write(`${line}\n`);
const parsed = parseOptions(process.argv.slice(2));
if (parsed.outcome === "help") print(usage());
else if (parsed.outcome === "invalid") {
  process.stderr.write(`${parsed.message}\n\n${usage()}\n`);
  process.exitCode = exitUsage;
} else {
  try {
    const { outcome } = await runSoak(parsed.options, print, interruption.signal);
    print(outcome === "right" ? "\nThe soak found nothing wrong." : `\nTHE SOAK IS ${outcome.toUpperCase()}.`);
    if (outcome !== "right") process.exitCode = outcome === "wrong" ? exitWrong : exitInterrupted;
  } catch (error) {
    process.stderr.write(`\nTHE SOAK COULD NOT RUN: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = exitWrong;
  }
}
