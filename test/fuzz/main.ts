/** `node test/fuzz/main.ts --executions 1000000 [--target NAME] [--seed N] [--input HEX]`: see `--help`. */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { fuzz } from "./engine/fuzz.ts";
import { loadTarget, moduleOf, targetNames } from "./targets/index.ts";

const help = `Gives hostile input to everything that takes bytes from others.

  --executions N   of each target (default 100000)
  --target NAME    only this one; may be repeated: ${targetNames.join(", ")}
  --seed N         of the inputs (default: a new one, which is printed)
  --workers N      threads (default: one for each core)
  --input HEX      runs this one input, here and now; needs one --target

Ends with 1 when something was found. What is found belongs into test/fuzz/corpus/failed.txt.`;

const { values } = parseArgs({
  options: {
    executions: { type: "string", default: "100000" },
    target: { type: "string", multiple: true },
    seed: { type: "string" },
    workers: { type: "string" },
    input: { type: "string" },
    help: { type: "boolean" },
  },
});

function count(name: string, text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new RangeError(`--${name} must be a number from 0 to 9999999999, not ${text}`);
}

async function runOne(hex: string): Promise<void> {
  const [name, ...more] = values.target ?? [];
  if (name === undefined || more.length > 0) throw new RangeError("--input needs one --target");
  const session = await (await loadTarget(moduleOf(name))).open();
  await session.run(Buffer.from(hex, "hex"));
  await session.close();
  console.log("nothing was found");
}

async function runAll(): Promise<void> {
  const executions = count("executions", values.executions);
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : count("seed", values.seed);
  const workers = values.workers === undefined ? availableParallelism() : Math.max(1, count("workers", values.workers));
  console.log(`seed ${seed}, ${executions} executions of each target on ${workers} threads`);
  for (const target of values.target ?? targetNames) {
    const { findings, elapsedMs, ...result } = await fuzz({ module: moduleOf(target), executions, seed, workers });
    const perSecond = Math.round(result.executions / (elapsedMs / 1_000));
    console.log(
      `${target}: ${result.executions} executions in ${(elapsedMs / 1_000).toFixed(1)} s, ${perSecond}/s, ${findings.length} findings`,
    );
    for (const { message, index, inputHex } of findings) {
      console.log(`  seed ${seed}, execution ${index}: ${message}\n  input ${inputHex}`);
      process.exitCode = 1;
    }
  }
}

if (values.help === true) console.log(help);
else if (values.input !== undefined) await runOne(values.input);
else await runAll();
