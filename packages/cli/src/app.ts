import { Command, CommanderError, Option } from "commander";
import { createClient } from "./client.ts";
import { addCerts } from "./commands/certs.ts";
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

const serverDefault = "http://127.0.0.1:7400";

interface GlobalOptions {
  readonly server?: string;
  readonly output: OutputFormat;
  readonly color: boolean;
  readonly quiet?: boolean;
}

/** Runs one command line (without the program's own name) and resolves to the exit code. Never rejects. */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const program = buildProgram(io, async (work) => {
    exitCode = await work(contextOf(program.opts<GlobalOptions>(), io));
  });
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    return report(error, io);
  }
}

function buildProgram(io: Io, run: Run): Command {
  const program = new Command("cutline")
    .description("Consistent pictures of a running gRPC system: take them, look at them, check them.")
    .option("--server <url>", `the coordinator (environment: CUTLINE_SERVER; default: ${serverDefault})`)
    .addOption(new Option("-o, --output <format>", "how to print").choices(outputFormats).default("table"))
    .option("--no-color", "print without colours (also: NO_COLOR)")
    .option("-q, --quiet", "no progress and no notes; of snapshots only the id")
    .addHelpText("afterAll", exitCodeHelp);
  configure(program, io);

  const snapshot = program
    .command("snapshot")
    .alias("snapshots")
    .description("take, list, inspect and delete snapshots");
  addSnapshotCreate(snapshot, run);
  addSnapshotRead(snapshot, run);
  addSnapshotChange(snapshot, run);
  addState(program, run);
  addTopology(program, run);
  addVerify(program, run);
  addCerts(program, run);
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

function contextOf(options: GlobalOptions, io: Io): Context {
  return {
    io,
    format: options.output,
    quiet: options.quiet === true,
    paint: paletteFor(io, io.stdout, options.color),
    client: () => createClient(io, serverUrl(options.server ?? (io.env.CUTLINE_SERVER || serverDefault))),
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
