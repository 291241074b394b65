/** `make demo`. REDIS_URL: that Redis instead of the embedded store. DEMO_SNAPSHOTS: how many; default 5. */
import { runDemo } from "./demo.ts";

const snapshotsDefault = 5;
const exitInterrupted = 130;

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // The second one is impatience; what was started is killed at the exit.
    if (interruption.signal.aborted) process.exit(exitInterrupted);
    interruption.abort();
  });
}

const { REDIS_URL, DEMO_SNAPSHOTS, DEMO_KEEP_RUNNING } = process.env;
const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;

try {
  const shown = await runDemo({
    redisUrl: REDIS_URL === "" ? undefined : REDIS_URL,
    snapshots: Number(DEMO_SNAPSHOTS) || snapshotsDefault,
    afterwards: isTerminal || DEMO_KEEP_RUNNING === "1" ? "untilStopped" : "end",
    print: (line) => void process.stdout.write(`${line}\n`),
    signal: interruption.signal,
  });
  if (shown.outcome === "wrong") {
    process.stderr.write(`\nTHE DEMO FAILED: ${shown.message}\n`);
    process.exitCode = 1;
  } else if (shown.outcome === "interrupted") process.exitCode = exitInterrupted;
} catch (error) {
  process.stderr.write(`\nTHE DEMO FAILED: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
