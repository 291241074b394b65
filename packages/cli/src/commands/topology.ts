import type { Command } from "commander";
import type { Run } from "../context.ts";
import { exitCodes } from "../errors.ts";
import { emit, styleOf } from "../output/emit.ts";
import { formatTopology } from "../output/topology.ts";

export function addTopology(program: Command, run: Run): void {
  program
    .command("topology")
    .description("the processes, the links between them, and who is not ready to be cut and why")
    .action(() =>
      run(async (context) => {
        const { raw, value } = await context.client().topology();
        emit(context, raw, (shape) => formatTopology(value, context.io.now(), shape, styleOf(context)));
        return exitCodes.ok;
      }),
    );
}
