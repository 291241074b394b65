/** `npm run soak:agent -- --minutes 5`: whether an agent's memory and descriptors stay flat over a busy life. */
import { parseArgs } from "node:util";
import { samplesMin } from "./judge.ts";
import { soakAgents } from "./soak.ts";

const exitUsage = 2;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    "interval-seconds": { type: "string", default: "10" },
    "warm-up-seconds": { type: "string", default: "30" },
    "snapshot-every-seconds": { type: "string", default: "2" },
  },
});
const durationMs = Number(values.minutes) * 60_000;
const intervalMs = Number(values["interval-seconds"]) * 1_000;
const warmUpMs = Number(values["warm-up-seconds"]) * 1_000;
const snapshotEveryMs = Number(values["snapshot-every-seconds"]) * 1_000;
const print = (line: string) => void process.stdout.write(`${line}\n`);

if (!(durationMs / intervalMs >= samplesMin && intervalMs > 0 && warmUpMs >= 0 && snapshotEveryMs > 0)) {
  process.stderr.write(`every option is a number, and at least ${samplesMin} intervals must fit into the minutes\n`);
  process.exitCode = exitUsage;
} else {
  const result = await soakAgents({ durationMs, intervalMs, warmUpMs, snapshotEveryMs }, print);
  print(`\ncalls: ${JSON.stringify(result.tally)}\nsnapshots: ${JSON.stringify(result.snapshots)}`);
  for (const [agent, findings] of Object.entries(result.findings)) {
    for (const { measure, first, last, allowed, verdict } of findings) {
      const numbers = [first, last, allowed].map(Math.round);
      print(
        `${agent} ${measure}: ${numbers[0]} in the first third, ${numbers[1]} in the last, at most ${numbers[2]}: ${verdict}`,
      );
    }
  }
  print(result.outcome === "flat" ? "\nThe agents are flat." : "\nTHE AGENTS GROW.");
  if (result.outcome !== "flat") process.exitCode = 1;
}
