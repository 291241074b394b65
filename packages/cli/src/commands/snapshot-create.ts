import type { Snapshot } from "@cutline/proto/snapshot";
import type { Command } from "commander";
import type { CreateRequest, Fetched } from "../client.ts";
import type { Context, Run } from "../context.ts";
import { CliError, exitCodes, interrupted } from "../errors.ts";
import { writeText } from "../io.ts";
import { emit, note, styleOf } from "../output/emit.ts";
import { formatSnapshots } from "../output/snapshots.ts";
import { escapeLine } from "../output/text.ts";
import { collect, collectLabel, integerBetween, parseDurationMs, parseProcessId } from "./options.ts";
import { exitCodeOfEnd, waitForEnd } from "./wait.ts";

const attemptsMax = 10;

interface CreateOptions {
  readonly wait?: boolean;
  readonly requireExact?: boolean;
  readonly timeout?: number;
  readonly label?: Readonly<Record<string, string>>;
  readonly initiator?: string;
  readonly namespace?: readonly string[];
  readonly attempts?: number;
  readonly idempotencyKey?: string;
}

export function addSnapshotCreate(parent: Command, run: Run): void {
  parent
    .command("create")
    .description("start a snapshot, and wait for its end")
    .option("--wait", "show the progress until it has ended (default)")
    .option("--no-wait", "return as soon as it is accepted")
    .option("--timeout <duration>", "when it must have ended, all attempts together: 30s, 2m", parseDurationMs)
    .option("--label <key=value>", "label it; may be repeated", collectLabel)
    .option(
      "--initiator <ns/name>",
      "the one process that cuts first; without it all are asked at once",
      parseProcessId,
    )
    .option("--namespace <ns>", "store only this namespace's processes; may be repeated", collect)
    .option("--attempts <n>", "how many attempts in all", integerBetween(1, attemptsMax))
    .option("--idempotency-key <key>", "asking again with the same key finds the same snapshot (default: a new one)")
    .option("--require-exact", "end with exit code 6 when it is Completed but not exact")
    .action((options: CreateOptions) => run((context) => create(context, options)));

  parent
    .command("wait")
    .description("wait for the end of a snapshot that runs")
    .argument("<id>")
    .option("--require-exact", "end with exit code 6 when it is Completed but not exact")
    .action((id: string, options: Pick<CreateOptions, "requireExact">) =>
      run(async (context) => finish(context, await context.client().get(id), options.requireExact)),
    );
}

async function create(context: Context, options: CreateOptions): Promise<number> {
  if (options.wait === false && options.requireExact) {
    throw new CliError("OptionsConflict", exitCodes.usage, "--require-exact needs the end: it goes not with --no-wait");
  }
  const started = await start(context, {
    namespaces: options.namespace ?? [],
    initiator: options.initiator,
    timeoutMs: options.timeout,
    labels: options.label ?? {},
    attempts: options.attempts,
    idempotencyKey: options.idempotencyKey ?? context.io.newKey(),
  });
  if (options.wait === false) {
    show(context, started);
    return exitCodes.ok;
  }
  note(context, `started ${escapeLine(started.value.id)}`);
  return finish(context, started, options.requireExact);
}

/** An answer that did not come leaves open whether the snapshot was started: the key finds out. */
async function start(context: Context, request: CreateRequest): Promise<Fetched<Snapshot>> {
  try {
    return await context.client().create(request);
  } catch (error) {
    const again = `; it may have been started: ask again with --idempotency-key ${request.idempotencyKey}`;
    if (error instanceof CliError && error.exitCode === exitCodes.interrupted) throw interrupted(`interrupted${again}`);
    if (error instanceof CliError && error.code === "CoordinatorUnreachable") {
      throw new CliError(error.code, error.exitCode, `${error.message}${again}`, { cause: error.cause });
    }
    throw error;
  }
}

async function finish(context: Context, started: Fetched<Snapshot>, requireExact = false): Promise<number> {
  const ended = await waitForEnd(context, started);
  show(context, ended);
  const { value } = ended;
  const exitCode = exitCodeOfEnd(value, requireExact);
  if (exitCode === exitCodes.failed) {
    const why = [value.reason, value.message].filter((part) => part !== "").join(": ");
    writeText(context.io.stderr, `cutline: ${escapeLine(`the snapshot ${value.id} ended ${value.phase}: ${why}`)}\n`);
  }
  if (exitCode === exitCodes.notExact) {
    const text = `the snapshot ${value.id} is Completed but not exact; "cutline snapshot describe ${value.id}" says why`;
    writeText(context.io.stderr, `cutline: ${escapeLine(text)}\n`);
  }
  return exitCode;
}

function show(context: Context, { value, raw }: Fetched<Snapshot>): void {
  if (context.quiet) writeText(context.io.stdout, `${escapeLine(value.id)}\n`);
  else emit(context, raw, (shape) => formatSnapshots([value], context.io.now(), shape, styleOf(context)));
}
