import type { Snapshot } from "@cutline/proto/snapshot";
import type { Command } from "commander";
import type { Fetched } from "../client.ts";
import type { Context, Run } from "../context.ts";
import { exitCodes } from "../errors.ts";
import { writeText } from "../io.ts";
import { describeSnapshot } from "../output/describe.ts";
import { emit, note, styleOf } from "../output/emit.ts";
import { formatSnapshots } from "../output/snapshots.ts";
import { escapeLine } from "../output/text.ts";
import { collectLabel, collectPhase, integerBetween } from "./options.ts";

const limitDefault = 50;
/** What the coordinator gives on one page at most. */
const pageSnapshotsMax = 500;
/** With --all: what is held in memory at most. */
const listSnapshotsMax = 100_000;

interface ListOptions {
  readonly label?: Readonly<Record<string, string>>;
  readonly phase?: readonly string[];
  readonly limit: number;
  readonly all?: boolean;
}

export function addSnapshotRead(parent: Command, run: Run): void {
  parent
    .command("list")
    .alias("ls")
    .description("list snapshots, the newest first")
    .option("--label <key=value>", "only those with this label; may be repeated", collectLabel)
    .option("--phase <phase>", "only those in this phase; may be repeated", collectPhase)
    .option("--limit <n>", "at most so many", integerBetween(1, pageSnapshotsMax), limitDefault)
    .option("--all", "all there are, page after page")
    .action((options: ListOptions) => run((context) => list(context, options)));

  parent
    .command("get")
    .description("show a snapshot in one line, or whole with -o json")
    .argument("<id>")
    .action((id: string) => run((context) => get(context, id)));

  parent
    .command("describe")
    .description("all about a snapshot: processes, channels, certificate, environment")
    .argument("<id>")
    .action((id: string) => run((context) => describe(context, id)));
}

async function list(context: Context, options: ListOptions): Promise<number> {
  const found: Fetched<Snapshot>[] = [];
  let cursor: string | undefined;
  do {
    const page = await context.client().list({
      labels: options.label ?? {},
      phases: options.phase ?? [],
      limit: options.all ? pageSnapshotsMax : options.limit,
      cursor,
    });
    found.push(...page.snapshots);
    // A page without a new cursor is the last one, whatever it says.
    cursor = page.next === cursor ? undefined : page.next;
  } while (options.all === true && cursor !== undefined && found.length < listSnapshotsMax);

  if (context.quiet) {
    writeText(context.io.stdout, found.map(({ value }) => `${escapeLine(value.id)}\n`).join(""));
    return exitCodes.ok;
  }
  const raw = { snapshots: found.map((entry) => entry.raw), ...(cursor !== undefined && { next: cursor }) };
  const snapshots = found.map(({ value }) => value);
  if (snapshots.length === 0) note(context, "no snapshots");
  emit(context, raw, (shape) =>
    snapshots.length === 0 ? "" : formatSnapshots(snapshots, context.io.now(), shape, styleOf(context)),
  );
  if (cursor !== undefined) note(context, `there are more than these ${found.length}: raise --limit, or use --all`);
  return exitCodes.ok;
}

async function get(context: Context, id: string): Promise<number> {
  const { raw, value } = await context.client().get(id);
  emit(context, raw, (shape) => formatSnapshots([value], context.io.now(), shape, styleOf(context)));
  return exitCodes.ok;
}

async function describe(context: Context, id: string): Promise<number> {
  const { raw, value } = await context.client().get(id);
  emit(context, raw, () => describeSnapshot(value, context.io.now(), styleOf(context)));
  return exitCodes.ok;
}
