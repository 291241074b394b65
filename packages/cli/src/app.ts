import { Command, CommanderError, Option } from "commander";
import { type CoordinatorClient, createClient } from "./client.ts";
import { type Cluster, type ClusterFlags, clientByName, openCluster } from "./cluster/cluster.ts";
import { addCerts } from "./commands/certs.ts";
import { addCheck } from "./commands/check.ts";
import { addClusterOptions } from "./commands/cluster-options.ts";
import { addDiff } from "./commands/diff.ts";
import { addInject } from "./commands/inject.ts";
import { addObjectReading, addObjectSnapshots } from "./commands/object-snapshots.ts";
import { addSnapshotChange } from "./commands/snapshot-change.ts";
import { addSnapshotCreate } from "./commands/snapshot-create.ts";
import { addSnapshotRead } from "./commands/snapshot-read.ts";
import { addState } from "./commands/state.ts";
import { addTopology } from "./commands/topology.ts";
import { addVerify } from "./commands/verify.ts";
import { addVersion } from "./commands/version.ts";
import { type Context, type OutputFormat, outputFormats, type Run } from "./context.ts";
import { CliError, exitCodeHelp, exitCodes, messageOf, systemCodeOf } from "./errors.ts";
import { type Io, writeText } from "./io.ts";
import { paletteFor } from "./output/palette.ts";
import { escapeLine } from "./output/text.ts";
import { readToken } from "./token.ts";
import { directRoute } from "./transport.ts";

const serverDefault = "http://127.0.0.1:7400";

/** How the program was called: by its own name, or as `kubectl cutline`. */
export type Mode = "program" | "plugin";

interface GlobalOptions extends ClusterFlags {
  readonly server?: string;
  readonly tokenFile?: string;
  readonly output: OutputFormat;
  readonly color: boolean;
  readonly quiet?: boolean;
}

/** Runs one command line (without the program's own name) and resolves to the exit code. Never rejects. */
export async function runCli(args: readonly string[], io: Io, mode: Mode = "program"): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const opened: { close(): void }[] = [];
  const program = buildProgram(io, mode, async (work, own = {}) => {
    const options = { ...program.opts<GlobalOptions>(), ...own };
    exitCode = await work(contextOf(options, io, mode, (resource) => void opened.push(resource)));
  });
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    return report(error, io);
  } finally {
    for (const resource of opened) resource.close();
  }
}

function buildProgram(io: Io, mode: Mode, run: Run): Command {
  const isPlugin = mode === "plugin";
  const formats = isPlugin ? [...outputFormats, "name"] : outputFormats;
  const serverText = isPlugin
    ? "the coordinator's URL, instead of the way through the API server; snapshots are then named by its ids"
    : `the coordinator (environment: CUTLINE_SERVER; default: ${serverDefault})`;
  const program = new Command(isPlugin ? "kubectl cutline" : "cutline")
    .description("Consistent pictures of a running gRPC system: take them, look at them, check them.")
    .option("--server <url>", serverText)
    .option(
      "--token-file <path>",
      "the token shown to that URL (environment: CUTLINE_TOKEN_FILE, or CUTLINE_TOKEN itself)",
    )
    .addOption(new Option("-o, --output <format>", "how to print").choices(formats).default("table"))
    .option("--no-color", "print without colours (also: NO_COLOR)")
    .option("-q, --quiet", "no progress and no notes; of snapshots only the id")
    .addHelpText("afterAll", exitCodeHelp);
  configure(program, io);
  if (isPlugin) addClusterOptions(program);

  const snapshot = program
    .command("snapshot")
    .alias("snapshots")
    .description("take, list, inspect and delete snapshots");
  if (isPlugin) {
    addObjectSnapshots(snapshot, run);
    addObjectReading(program, run);
  } else {
    addSnapshotCreate(snapshot, run);
    addSnapshotRead(snapshot, run);
    addSnapshotChange(snapshot, run);
  }
  addState(program, run);
  addDiff(program, run);
  addTopology(program, run);
  addCheck(program, run, mode);
  addVerify(program, run);
  addCerts(program, run);
  addInject(program, run);
  addVersion(program, run);
  return program;
}

/** Subcommands inherit these settings, so this comes before them. */
function configure(program: Command, io: Io): void {
  program
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => writeText(io.stdout, text),
      writeErr: (text) => writeText(io.stderr, text),
      getOutHelpWidth: () => io.stdout.columns,
      getErrHelpWidth: () => io.stderr.columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: (text, write) => write(text.replace(/^error: /, "cutline: ")),
    });
}

function contextOf(options: GlobalOptions, io: Io, mode: Mode, opened: (resource: { close(): void }) => void): Context {
  let opening: Promise<Cluster> | undefined;
  const cluster = () => (opening ??= openCluster(io, options, opened));
  const direct = (server: string) =>
    createClient(
      io,
      directRoute(serverUrl(server), () => readToken(io, options.tokenFile)),
    );
  // A plugin goes by its kubeconfig; a server in the environment is that of the program.
  const named = options.server ?? (mode === "program" ? io.env.CUTLINE_SERVER || undefined : undefined);
  let byName: CoordinatorClient | undefined;
  const clusterClient = () => {
    byName ??= named === undefined ? clientByName(io, cluster) : direct(named);
    return byName;
  };
  return {
    io,
    format: options.output,
    quiet: options.quiet === true,
    paint: paletteFor(io, io.stdout, options.color),
    cluster,
    clusterClient,
    client: () => (mode === "plugin" ? clusterClient() : direct(named ?? serverDefault)),
  };
}

function serverUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new CliError(
      "ServerInvalid",
      exitCodes.usage,
      `the coordinator's URL "${text}" must begin with http:// or https:// (--server or CUTLINE_SERVER)`,
    );
  }
  return url;
}

function report(error: unknown, io: Io): number {
  if (error instanceof CommanderError) {
    // Commander has printed its message; help that was asked for is no error.
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
  if (error instanceof CliError) {
    const lines = [error.message, ...error.details.map((detail) => `  ${detail}`)];
    writeText(io.stderr, `cutline: ${lines.map(escapeLine).join("\n")}\n`);
    return error.exitCode;
  }
  // The reader of our output has seen enough.
  if (systemCodeOf(error) === "EPIPE") return exitCodes.ok;
  writeText(io.stderr, `cutline: unexpected: ${escapeLine(messageOf(error))}\n`);
  return exitCodes.failed;
}
