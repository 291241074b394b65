import { parseArgs } from "node:util";
import { samplesMin } from "./judge.ts";

export interface AgentSoakOptions {
  readonly durationMs: number;
  /** Between two looks at an agent. */
  readonly intervalMs: number;
  /** Before the first look. */
  readonly warmUpMs: number;
  readonly snapshotEveryMs: number;
}

export type ParsedAgentSoakOptions =
  | { readonly outcome: "options"; readonly options: AgentSoakOptions }
  | { readonly outcome: "help" }
  | { readonly outcome: "invalid"; readonly message: string };

export const agentSoakUsage = `usage: npm run soak:agent -- [options]

Calls of all kinds and snapshots over two agents; fails when memory or descriptors of one grow, or a call fails.

  --minutes N                  how long (default 5)
  --interval-seconds N         between two looks; at least ${samplesMin} must fit in (default 10)
  --warm-up-seconds N          before the first look (default 30)
  --snapshot-every-seconds N   (default 2)
`;

export function parseAgentSoakOptions(args: readonly string[]): ParsedAgentSoakOptions {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    return { outcome: "invalid", message: (error as Error).message };
  }
  if (values.help === true) return { outcome: "help" };
  const durationMs = Number(values.minutes) * 60_000;
  const intervalMs = Number(values["interval-seconds"]) * 1_000;
  const warmUpMs = Number(values["warm-up-seconds"]) * 1_000;
  const snapshotEveryMs = Number(values["snapshot-every-seconds"]) * 1_000;
  if (durationMs / intervalMs >= samplesMin && intervalMs > 0 && warmUpMs >= 0 && snapshotEveryMs > 0) {
    return { outcome: "options", options: { durationMs, intervalMs, warmUpMs, snapshotEveryMs } };
  }
  const message = `every option is a number, and at least ${samplesMin} intervals must fit into the minutes`;
  return { outcome: "invalid", message };
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string", default: "5" },
      "interval-seconds": { type: "string", default: "10" },
      "warm-up-seconds": { type: "string", default: "30" },
      "snapshot-every-seconds": { type: "string", default: "2" },
      help: { type: "boolean", short: "h" },
    },
  }).values;
}
