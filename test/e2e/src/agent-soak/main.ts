/** `npm run soak:agent -- --minutes 5`: whether an agent's memory and descriptors stay flat over a busy life, and no call fails. */
import { type AgentSoakOptions, agentSoakUsage, parseAgentSoakOptions } from "./options.ts";
import { soakAgents } from "./soak.ts";

const exitUsage = 2;

const print = (line: string) => void process.stdout.write(`${line}\n`);

async function run(options: AgentSoakOptions): Promise<"good" | "bad"> {
  const result = await soakAgents(options, print);
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
  const { failed } = result.tally;
  print(failed === 0 ? "No call failed." : `${failed} CALLS FAILED.`);
  return result.outcome === "flat" && failed === 0 ? "good" : "bad";
}

const parsed = parseAgentSoakOptions(process.argv.slice(2));
if (parsed.outcome === "help") {
  process.stdout.write(agentSoakUsage);
} else if (parsed.outcome === "invalid") {
  process.stderr.write(`${parsed.message}\n\n${agentSoakUsage}`);
  process.exitCode = exitUsage;
} else if ((await run(parsed.options)) === "bad") {
  process.exitCode = 1;
}
