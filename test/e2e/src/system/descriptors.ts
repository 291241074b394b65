import { SystemError } from "./errors.ts";
import { runOnce } from "./program.ts";

/** Compiles the bank's protocol, so that snapshots show its payloads as JSON. Takes a fraction of a second. */
export async function buildDescriptors(file: string): Promise<void> {
  try {
    await runOnce("node_modules/.bin/buf", ["build", "examples/bank/proto", "-o", file]);
  } catch (cause) {
    throw new SystemError("DescriptorsNotBuilt", "the bank's protocol could not be compiled", { cause });
  }
}
