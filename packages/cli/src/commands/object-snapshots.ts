import type { Command } from "commander";
import { snapshotResource } from "../cluster/objects.ts";
import { endOf, type Read, waitForObjectEnd } from "../cluster/snapshots.ts";
import type { Context, Run } from "../context.ts";
import { CliError, exitCodes } from "../errors.ts";
import { writeText } from "../io.ts";
import { emit, note, styleOf } from "../output/emit.ts";
import { createLine, silentLine } from "../output/progress.ts";
import { describeSnapshotObject, formatSnapshotObjects, objectProgress } from "../output/snapshot-objects.ts";
import { escapeLine } from "../output/text.ts";
import { formatDurationMs } from "../output/values.ts";
import { agrees } from "./confirm.ts";
import { collect, collectLabel, integerBetween, parseDurationMs, parseProcessId } from "./options.ts";

interface CreateFlags {
  readonly wait?: boolean;
  readonly requireExact?: boolean;
  readonly timeout?: number;
  readonly label?: Readonly<Record<string, string>>;
  readonly initiator?: string;
  readonly scopeNamespace?: readonly string[];
  readonly scopeLabel?: Readonly<Record<string, string>>;
  readonly attempts?: number;
  readonly keepData?: boolean;
}

const timeoutSecondsMax = 3_600;

/** The snapshots of a cluster: objects of the API server, which the coordinator's controller makes true. */
export function addObjectSnapshots(parent: Command, run: Run): void {
  parent
    .command("create")
    .description("create a GlobalSnapshot, and wait for its end")
    .argument("[name]", "default: one is made up")
    .option("--wait", "show the progress until it has ended (default)")
    .option("--no-wait", "return as soon as it is created")
    .option("--timeout <duration>", "when it must have ended, all attempts together: 30s, 2m", parseDurationMs)
    .option("--label <key=value>", "label it, here and at the coordinator; may be repeated", collectLabel)
    .option(
      "--initiator <ns/name>",
      "the one process that cuts first; without it all are asked at once",
      parseProcessId,
    )
    .option("--scope-namespace <ns>", "store only this namespace's processes; may be repeated", collect)
    .option("--scope-label <key=value>", "store only processes with this label; may be repeated", collectLabel)
    .option("--attempts <n>", "how many attempts in all", integerBetween(1, 10))
    .option("--keep-data", "its data stays at the coordinator when the object is deleted")
    .option("--require-exact", "end with exit code 6 when it is Completed but not exact")
    .action((name: string | undefined, flags: CreateFlags) => run((context) => create(context, name, flags)));

  parent
    .command("wait")
    .description("wait for the end of a snapshot that runs")
    .argument("<name>")
    .option("--require-exact", "end with exit code 6 when it is Completed but not exact")
    .action((name: string, flags: Pick<CreateFlags, "requireExact">) =>
      run(async (context) => {
        const { snapshots } = await context.cluster();
        return await finish(context, await snapshots.get(name), flags.requireExact === true);
      }),
    );

  addObjectReading(parent, run);

  parent
    .command("abort")
    .description("stop a snapshot that runs; for good")
    .argument("<name>")
    .action((name: string) =>
      run(async (context) => {
        const { snapshots } = await context.cluster();
        await snapshots.abort(name);
        note(context, `${snapshotResource}/${escapeLine(name)} aborted`);
        return exitCodes.ok;
      }),
    );

  parent
    .command("delete")
    .alias("rm")
    .description("delete a GlobalSnapshot, and its data unless its policy keeps it")
    .argument("<name>")
    .option("-y, --yes", "do not ask")
    .action((name: string, flags: { readonly yes?: boolean }) =>
      run((context) => remove(context, name, flags.yes === true)),
    );
}

/** `list`, `get` and `describe`. */
export function addObjectReading(parent: Command, run: Run): void {
  const one = (what: string, words: string, show: (context: Context, name: string) => Promise<number>) =>
    parent
      .command(what)
      .description(words)
      .argument("<name>")
      .action((name: string) => run((context) => show(context, name)));

  parent
    .command("list")
    .alias("ls")
    .description("list the GlobalSnapshots")
    .option("-l, --label <key=value>", "only those with this label; may be repeated", collectLabel)
    .option("-A, --all-namespaces", "of all namespaces")
    .action((flags: { readonly label?: Readonly<Record<string, string>>; readonly allNamespaces?: boolean }) =>
      run((context) => list(context, flags.label ?? {}, flags.allNamespaces === true ? "everywhere" : "here")),
    );
  one("get", "show a GlobalSnapshot in one line, or whole with -o json", get);
  one("describe", "all about a GlobalSnapshot: why it failed and which pod is to blame, conditions, events", describe);
}

async function create(context: Context, name: string | undefined, flags: CreateFlags): Promise<number> {
  if (flags.wait === false && flags.requireExact === true) {
    throw new CliError("OptionsConflict", exitCodes.usage, "--require-exact needs the end: it goes not with --no-wait");
  }
  const timeoutSeconds = flags.timeout === undefined ? undefined : Math.ceil(flags.timeout / 1_000);
  if (timeoutSeconds !== undefined && timeoutSeconds > timeoutSecondsMax) {
    throw new CliError("TimeoutInvalid", exitCodes.usage, `--timeout may be ${timeoutSecondsMax} s at most`);
  }
  const { scopeNamespace: namespaces, scopeLabel: matchLabels, label: labels = {} } = flags;
  const scope = {
    ...(namespaces !== undefined && { namespaces }),
    ...(matchLabels !== undefined && { labelSelector: { matchLabels } }),
  };
  const { snapshots } = await context.cluster();
  const created = await snapshots.create({
    name,
    labels,
    spec: {
      ...(Object.keys(scope).length > 0 && { scope }),
      ...(flags.initiator !== undefined && { initiator: flags.initiator }),
      ...(timeoutSeconds !== undefined && { timeoutSeconds }),
      ...(flags.attempts !== undefined && { attempts: flags.attempts }),
      ...(Object.keys(labels).length > 0 && { labels }),
      ...(flags.keepData === true && { deletionPolicy: "Keep" }),
    },
  });
  if (flags.wait === false) {
    show(context, created, "created");
    return exitCodes.ok;
  }
  note(context, `${nameOf(created)} created`);
  return await finish(context, created, flags.requireExact === true);
}

async function finish(context: Context, begun: Read, requireExact: boolean): Promise<number> {
  const { io } = context;
  const { snapshots } = await context.cluster();
  const line = context.quiet ? silentLine : createLine(io.stderr);
  let ended: Read;
  try {
    ended = await waitForObjectEnd(io, snapshots, begun, {
      show: (object, waitedMs) =>
        line.show(objectProgress(object), formatDurationMs(Math.floor(waitedMs / 1_000) * 1_000)),
      note: (text) => line.note(escapeLine(text)),
    });
  } finally {
    line.end();
  }
  show(context, ended, ended.value.phase.toLowerCase());
  const { name, phase, status } = ended.value;
  const complain = (text: string) => writeText(io.stderr, `cutline: ${escapeLine(text)}\n`);
  if (phase !== "Completed") {
    complain(`the snapshot ${name} ended ${phase}: ${[status.reason, status.message].filter(Boolean).join(": ")}`);
    return exitCodes.failed;
  }
  if (!requireExact || status.exact === true) return exitCodes.ok;
  complain(`the snapshot ${name} is Completed but not exact; "kubectl cutline snapshot describe ${name}" says why`);
  return exitCodes.notExact;
}

function nameOf({ value }: Read): string {
  return `${snapshotResource}/${escapeLine(value.name)}`;
}

function show(context: Context, read: Read, done: string): void {
  if (context.quiet) writeText(context.io.stdout, `${escapeLine(read.value.name)}\n`);
  else if (context.format === "table" && endOf(read.value) === "running")
    writeText(context.io.stdout, `${nameOf(read)} ${done}\n`);
  else showAll(context, [read], read.raw, "here");
}

function showAll(context: Context, reads: readonly Read[], raw: unknown, where: "here" | "everywhere"): void {
  const objects = reads.map(({ value }) => value);
  emit(
    context,
    raw,
    (shape) =>
      objects.length === 0 ? "" : formatSnapshotObjects(objects, context.io.now(), shape, where, styleOf(context)),
    reads.map(nameOf),
  );
}

async function list(
  context: Context,
  labels: Readonly<Record<string, string>>,
  where: "here" | "everywhere",
): Promise<number> {
  const { snapshots } = await context.cluster();
  const found = await snapshots.list(where, labels);
  if (context.quiet) {
    writeText(context.io.stdout, found.map(({ value }) => `${escapeLine(value.name)}\n`).join(""));
    return exitCodes.ok;
  }
  if (found.length === 0) {
    const inside = where === "here" ? ` in the namespace ${snapshots.namespace}` : "";
    note(context, escapeLine(`no GlobalSnapshots${inside}`));
  }
  showAll(context, found, { apiVersion: "v1", kind: "List", items: found.map(({ raw }) => raw) }, where);
  return exitCodes.ok;
}

async function get(context: Context, name: string): Promise<number> {
  const { snapshots } = await context.cluster();
  const read = await snapshots.get(name);
  showAll(context, [read], read.raw, "here");
  return exitCodes.ok;
}

async function describe(context: Context, name: string): Promise<number> {
  const { snapshots } = await context.cluster();
  const { raw, value } = await snapshots.get(name);
  const isForPeople = context.format === "table" || context.format === "wide";
  const events = isForPeople ? await snapshots.eventsOf(value) : [];
  emit(context, raw, () => describeSnapshotObject(value, events, context.io.now(), styleOf(context)), [
    nameOf({ raw, value }),
  ]);
  return exitCodes.ok;
}

async function remove(context: Context, name: string, isSure: boolean): Promise<number> {
  const { snapshots } = await context.cluster();
  if (!isSure && !(await agrees(context, `${snapshots.namespace}/${name}`))) {
    note(context, `kept ${escapeLine(name)}`);
    return exitCodes.ok;
  }
  await snapshots.remove(name);
  note(context, `${snapshotResource}/${escapeLine(name)} deleted`);
  return exitCodes.ok;
}
