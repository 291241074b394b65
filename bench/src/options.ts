import { parseArgs } from "node:util";

export interface BenchOptions {
  /** Of one measurement; with snapshots it takes twice as long, so that there are some. */
  readonly durationMs: number;
  readonly warmUpMs: number;
  readonly repetitions: number;
  readonly concurrencies: readonly number[];
  readonly output: "table" | "json";
}

export type ParsedOptions =
  | { readonly outcome: "options"; readonly options: BenchOptions }
  | { readonly outcome: "help" }
  | { readonly outcome: "invalid"; readonly message: string };

export const usage = `usage: npm run bench -- [options]

Measures unary calls of 100 bytes directly and through a pair of agents, interleaved.

  --quick             300 ms each, once: about 20 s in all, and noisy
  --duration-ms N     of one measurement, 50 to 60000 (default 2000)
  --repetitions N     1 to 20 (default 3); the medians are shown
  --concurrency LIST  calls open at a time, each 1 to 1000 (default 1,16,64)
  -o, --output FORM   table or json (default table)`;

export function parseOptions(args: readonly string[]): ParsedOptions {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    return invalid((error as Error).message);
  }
  if (values.help === true) return { outcome: "help" };
  const quick = values.quick === true;
  const { output = "table" } = values;
  if (output !== "table" && output !== "json") return invalid(`--output is "${output}"; give table or json`);
  const durationMs = whole(values["duration-ms"], quick ? 300 : 2_000, 50, 60_000);
  if (durationMs === undefined) return invalid(`--duration-ms must be a whole number from 50 to 60000`);
  const repetitions = whole(values.repetitions, quick ? 1 : 3, 1, 20);
  if (repetitions === undefined) return invalid(`--repetitions must be a whole number from 1 to 20`);
  const concurrencies = (values.concurrency ?? "1,16,64").split(",").map((text) => whole(text, 0, 1, 1_000));
  if (!concurrencies.every((one) => one !== undefined)) {
    return invalid(`--concurrency is "${values.concurrency}"; give whole numbers from 1 to 1000, as in 1,16,64`);
  }
  const warmUpMs = quick ? 300 : 1_000;
  return { outcome: "options", options: { durationMs, warmUpMs, repetitions, concurrencies, output } };
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean" },
      "duration-ms": { type: "string" },
      repetitions: { type: "string" },
      concurrency: { type: "string" },
      output: { type: "string", short: "o" },
      help: { type: "boolean", short: "h" },
    },
  }).values;
}

function whole(text: string | undefined, otherwise: number, min: number, max: number): number | undefined {
  if (text === undefined) return otherwise;
  const value = Number(text);
  return /^\d+$/.test(text) && value >= min && value <= max ? value : undefined;
}

function invalid(message: string): ParsedOptions {
  return { outcome: "invalid", message };
}
