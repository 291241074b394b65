import { globSync } from "node:fs";
import { run } from "node:test";
import { fileURLToPath } from "node:url";

export interface Behaviour {
  readonly name: string;
  readonly outcome: "passed" | "failed";
  readonly elapsedMs: number;
}

const folder = fileURLToPath(new URL("../behaviour/", import.meta.url));
const testMsMax = 120_000;

/** Runs the tests of behaviour/ one file after the other; a failed one is told of on stderr. */
export async function runBehaviours(): Promise<Behaviour[]> {
  const files = globSync("*.test.ts", { cwd: folder }).map((file) => `${folder}${file}`);
  const behaviours: Behaviour[] = [];
  const stream = run({ files: files.sort(), concurrency: 1, execArgv: [`--test-timeout=${testMsMax}`] });
  const note = (outcome: Behaviour["outcome"], name: string, elapsedMs: number) =>
    behaviours.push({ name, outcome, elapsedMs: Math.round(elapsedMs) });
  stream.on("test:pass", ({ name, nesting, details }) => {
    if (nesting > 0) note("passed", name, details.duration_ms);
  });
  stream.on("test:fail", ({ name, nesting, details }) => {
    // A suite fails with one of its tests, or by itself.
    if (nesting > 0 || details.type !== "suite") note("failed", name, details.duration_ms);
    console.error(`${name}:`, details.error.cause ?? details.error);
  });
  stream.resume();
  await new Promise((resolve) => stream.once("end", resolve));
  return behaviours;
}
