import type { Command } from "commander";
import type { Run } from "../context.ts";
import { exitCodes } from "../errors.ts";
import { emit } from "../output/emit.ts";
import { version } from "../version.ts";

export function addVersion(program: Command, run: Run): void {
  program
    .command("version")
    .description("print the version of this program")
    .action(() =>
      run(async (context) => {
        emit(context, { version }, () => `cutline ${version}\n`);
        return exitCodes.ok;
      }),
    );
}
