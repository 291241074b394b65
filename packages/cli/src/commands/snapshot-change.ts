import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import type { Context, Run } from "../context.ts";
import { CliError, exitCodes, interrupted } from "../errors.ts";
import { note } from "../output/emit.ts";
import { escapeLine } from "../output/text.ts";

export function addSnapshotChange(parent: Command, run: Run): void {
  parent
    .command("abort")
    .description("stop a snapshot that runs")
    .argument("<id>")
    .action((id: string) =>
      run(async (context) => {
        await context.client().abort(id);
        note(context, `aborted ${escapeLine(id)}`);
        return exitCodes.ok;
      }),
    );

  parent
    .command("delete")
    .alias("rm")
    .description("delete a snapshot and every byte it stored")
    .argument("<id>")
    .option("-y, --yes", "do not ask")
    .action((id: string, options: { readonly yes?: boolean }) =>
      run((context) => remove(context, id, options.yes === true)),
    );
}

async function remove(context: Context, id: string, isSure: boolean): Promise<number> {
  if (!isSure && !(await agrees(context, id))) {
    note(context, `kept ${escapeLine(id)}`);
    return exitCodes.ok;
  }
  await context.client().remove(id);
  note(context, `deleted ${escapeLine(id)}`);
  return exitCodes.ok;
}

async function agrees(context: Context, id: string): Promise<boolean> {
  const { stdin, stderr, signal } = context.io;
  if (!stdin.isTTY) {
    throw new CliError("NotSure", exitCodes.usage, `nobody is there to be asked whether to delete ${id}: give --yes`);
  }
  const questions = createInterface({ input: stdin.stream, output: stderr.stream });
  try {
    const answer = await questions.question(`Delete ${escapeLine(id)} and all its state? [y/N] `, { signal });
    return /^y(es)?$/i.test(answer.trim());
  } catch (error) {
    if (signal.aborted) throw interrupted(`interrupted; ${id} is kept`);
    throw error;
  } finally {
    questions.close();
  }
}
