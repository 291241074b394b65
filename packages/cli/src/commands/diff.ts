import type { Snapshot } from "@cutline/proto/snapshot";
import type { Command } from "commander";
import type { CoordinatorClient } from "../client.ts";
import type { Context, Run } from "../context.ts";
import { compareSnapshots, haveOtherStates, isEmpty, type ProcessDiff } from "../diff/compare.ts";
import { compareJson } from "../diff/json-paths.ts";
import { CliError, exitCodes } from "../errors.ts";
import { formatDiff } from "../output/diff.ts";
import { emit, styleOf } from "../output/emit.ts";
import { formatBytes } from "../output/values.ts";
import { integerBetween } from "./options.ts";

/** A local state that is read to be compared. */
const stateBytesMax = 16 * 1024 ** 2;
const pathsDefault = 20;
const pathsMax = 100_000;

interface DiffFlags {
  readonly paths: number;
  readonly states: boolean;
}

export function addDiff(program: Command, run: Run): void {
  program
    .command("diff")
    .description("what differs between two snapshots: processes, states, channels, messages in flight")
    .argument("<before>")
    .argument("<after>")
    .option("--paths <n>", "how many places of each JSON state to show", integerBetween(1, pathsMax), pathsDefault)
    .option("--no-states", "compare states by their hashes alone, and download none")
    .action((before: string, after: string, flags: DiffFlags) => run((context) => diff(context, before, after, flags)));
}

async function diff(context: Context, before: string, after: string, flags: DiffFlags): Promise<number> {
  const client = context.client();
  const one = await completed(client, before);
  const other = await completed(client, after);
  const compared = compareSnapshots(one, other);
  const processes: ProcessDiff[] = [];
  for (const process of compared.processes) {
    const isAsked = flags.states && haveOtherStates(process.id, one, other);
    processes.push(
      isAsked ? { ...process, ...(await stateDiff(client, process.id, one, other, flags.paths)) } : process,
    );
  }
  const whole = { ...compared, before, after, processes };
  emit(context, whole, () => formatDiff(whole, styleOf(context)));
  return isEmpty(whole) ? exitCodes.ok : exitCodes.failed;
}

async function completed(client: CoordinatorClient, id: string): Promise<Snapshot> {
  const { value } = await client.get(id);
  if (value.phase === "Completed") return value;
  const message = `${id} is ${value.phase}, so it has no global state to compare; choose Completed ones`;
  throw new CliError("NotCompleted", exitCodes.refused, message);
}

type StateDiff = Pick<ProcessDiff, "paths" | "more" | "notCompared">;

async function stateDiff(
  client: CoordinatorClient,
  id: string,
  one: Snapshot,
  other: Snapshot,
  max: number,
): Promise<StateDiff> {
  const entries = [one, other].map(({ processes }) => processes.find((process) => process.id === id));
  const types = entries.map((entry) => entry?.contentType ?? "");
  if (!types.every((type) => /^application\/(.+\+)?json\b/.test(type))) {
    return { notCompared: `it is ${types[0] || "of no known type"}, and only JSON is looked into` };
  }
  const largest = Math.max(...entries.map((entry) => entry?.stateBytes ?? 0));
  if (largest > stateBytesMax) {
    return {
      notCompared: `${formatBytes(largest)} are more than the ${formatBytes(stateBytesMax)} that are looked into`,
    };
  }
  const values: unknown[] = [];
  for (const snapshot of [one, other]) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of await client.processState(snapshot.id, id)) chunks.push(chunk);
    try {
      values.push(JSON.parse(Buffer.concat(chunks).toString("utf8")));
    } catch {
      return { notCompared: `in ${snapshot.id} it says that it is JSON, and is none` };
    }
  }
  const { differences, more } = compareJson(values[0], values[1], max);
  return { paths: differences, ...(more && { more }) };
}
