import type { Context } from "../context.ts";
import { CliError, exitCodes } from "../errors.ts";
import { writeText } from "../io.ts";
import { formatJson, formatYaml } from "./structured.ts";
import type { TableStyle } from "./table.ts";

export function styleOf(context: Context): TableStyle {
  const { stdout } = context.io;
  return { paint: context.paint, columns: stdout.isTTY ? stdout.columns : undefined };
}

/**
 * To stdout in the format asked for; `human` is only computed when a person is to read it. `names`: what `-o name` prints;
 * without them it is a usage error.
 */
export function emit(
  context: Context,
  raw: unknown,
  human: (shape: "table" | "wide") => string,
  names?: readonly string[],
): void {
  const { format, io } = context;
  if (format === "name") {
    if (names === undefined) {
      throw new CliError(
        "FormatInvalid",
        exitCodes.usage,
        "-o name is for objects of the cluster: use json or yaml here",
      );
    }
    writeText(io.stdout, names.map((name) => `${name}\n`).join(""));
  } else if (format === "json") writeText(io.stdout, formatJson(raw));
  else if (format === "yaml") writeText(io.stdout, formatYaml(raw));
  else writeText(io.stdout, human(format));
}

/** For people, beside the result: to stderr, unless --quiet. */
export function note(context: Context, text: string): void {
  if (!context.quiet) writeText(context.io.stderr, `${text}\n`);
}
