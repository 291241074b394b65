import { createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import type { StateForm } from "../client.ts";
import type { Context, Run } from "../context.ts";
import { CliError, exitCodes, messageOf, systemCodeOf } from "../errors.ts";
import { note } from "../output/emit.ts";
import { escapeText } from "../output/text.ts";
import { formatBytes } from "../output/values.ts";
import { parseProcessId } from "./options.ts";

/** A state may hold secrets: only its owner may read the file. */
const fileMode = 0o600;

interface StateOptions {
  readonly process?: string;
  readonly channel?: string;
  readonly file?: string;
  readonly force?: boolean;
  readonly ndjson?: boolean;
}

export function addState(program: Command, run: Run): void {
  program
    .command("state")
    .description("download a global state, one local state or one channel state")
    .argument("<id>", "the snapshot")
    .option("--process <ns/name>", "only this process's local state, as the application gave it", parseProcessId)
    .option("--channel <id>", "only this channel's state")
    .option("-f, --file <file>", "write to this file instead of stdout; it must not exist")
    .option("--force", "replace the file")
    .option("--ndjson", "one JSON object a line, for states too large for one JSON document")
    .action((id: string, options: StateOptions) => run((context) => state(context, id, options)));
}

async function state(context: Context, id: string, options: StateOptions): Promise<number> {
  const parts = [options.process !== undefined && "--process", options.channel !== undefined && "--channel"];
  const given = [...parts, options.ndjson === true && "--ndjson"].filter((name) => name !== false);
  if (given.length > 1) {
    throw new CliError("OptionsConflict", exitCodes.usage, `${given.join(" and ")} do not go together`);
  }
  if (options.file !== undefined && options.file !== "-") {
    await download(context, id, options, options.file);
  } else {
    await toStdout(context, await open(context, id, options));
  }
  return exitCodes.ok;
}

function open(context: Context, id: string, options: StateOptions): Promise<AsyncGenerator<Uint8Array>> {
  const client = context.client();
  if (options.process !== undefined) return client.processState(id, options.process);
  if (options.channel !== undefined) return client.channelState(id, options.channel);
  const form: StateForm = options.ndjson === true ? "ndjson" : "json";
  return client.globalState(id, form);
}

async function toStdout(context: Context, chunks: AsyncGenerator<Uint8Array>): Promise<void> {
  const { stdout } = context.io;
  // Into a pipe go the exact bytes; onto a terminal nothing that could steer it.
  if (stdout.isTTY) await pipeline(chunks, escaping(), stdout.stream, { end: false });
  else await pipeline(chunks, stdout.stream, { end: false });
}

function escaping(): Transform {
  const decoder = new TextDecoder();
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      done(null, escapeText(decoder.decode(chunk, { stream: true })));
    },
    flush(done) {
      done(null, `${escapeText(decoder.decode())}\n`);
    },
  });
}

/** Under another name first: a torn download never stands where a whole one is looked for. */
async function download(context: Context, id: string, options: StateOptions, file: string): Promise<void> {
  if (options.force !== true) await refuseExisting(file);
  const chunks = await open(context, id, options);
  const partial = `${file}.partial`;
  let bytes = 0;
  const target = createWriteStream(partial, { mode: fileMode });
  try {
    await pipeline(
      chunks,
      async function* (source) {
        for await (const chunk of source) {
          bytes += chunk.length;
          yield chunk;
        }
      },
      target,
    );
    if (options.force !== true) await refuseExisting(file);
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    if (error instanceof CliError) throw error;
    const message = `cannot write ${file}: ${messageOf(error)}`;
    throw new CliError("FileNotWritable", exitCodes.usage, message, { cause: error });
  }
  note(context, `wrote ${formatBytes(bytes)} to ${file}`);
}

async function refuseExisting(file: string): Promise<void> {
  try {
    await stat(file);
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return;
    throw new CliError("FileNotWritable", exitCodes.usage, `cannot write ${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  throw new CliError("FileExists", exitCodes.usage, `${file} exists: choose another name, or replace it with --force`);
}
