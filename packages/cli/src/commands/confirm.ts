import { createInterface } from "node:readline/promises";
import type { Context } from "../context.ts";
import { CliError, exitCodes, interrupted } from "../errors.ts";
import { escapeLine } from "../output/text.ts";

/** Asks whether to delete this snapshot. Rejects when nobody is there to be asked, or when interrupted. */
export async function agrees(context: Context, id: string): Promise<boolean> {
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
