import type { Command } from "commander";
import type { Context, Run } from "../context.ts";
import { exitCodes } from "../errors.ts";
import { note } from "../output/emit.ts";
import { escapeLine } from "../output/text.ts";
import { agrees } from "./confirm.ts";

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
