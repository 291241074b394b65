import { parseArgs } from "node:util";
import type { SystemOptions } from "../system/system.ts";

export interface SoakOptions {
  readonly snapshots: number;
  readonly store: NonNullable<SystemOptions["store"]>;
  /** Makes every payment that much larger. */
  readonly paddingBytes: number;
  /** What one branch takes to read one settlement. */
  readonly slowReaderMs: number;
  /** Of the branches' and of the soak's own random choices. */
  readonly seed: number;
  /** No snapshot is started later than this; undefined: no limit. */
  readonly durationMsMax: number | undefined;
  /** In the second half, at least so many snapshots run at any time. */
  readonly overlap: number;
  /** Every so manieth state is verified offline, too. */
  readonly verifyEvery: number;
  /** Mean pause of the opaque branch after each payment; 0: as fast as it can, like the others. */
  readonly opaquePauseMs: number;
}

export type ParsedOptions =
  | { readonly outcome: "options"; readonly options: SoakOptions }
  | { readonly outcome: "help" }
  | { readonly outcome: "invalid"; readonly message: string };

interface NumberOption {
  readonly default: number | undefined;
  readonly min: number;
  readonly max: number;
  readonly placeholder: string;
  readonly doc: string;
}

const numbers = {
  snapshots: { default: 1_000, min: 1, max: 1_000_000, placeholder: "N", doc: "how many" },
  "padding-bytes": {
    default: 0,
    min: 0,
    max: 4_000_000,
    placeholder: "N",
    doc: "makes every payment that much larger",
  },
  "slow-reader-ms": {
    default: 0,
    min: 0,
    max: 5_000,
    placeholder: "N",
    doc: "branch-c takes so long for each settlement it reads",
  },
  seed: { default: 1, min: 0, max: 2 ** 31 - 1, placeholder: "N", doc: "of all random choices" },
  "duration-max-minutes": {
    default: undefined,
    min: 0.1,
    max: 10_000,
    placeholder: "N",
    doc: "no snapshot is started later",
  },
  overlap: { default: 6, min: 2, max: 13, placeholder: "N", doc: "so many run at any time in the second half" },
  "verify-every": { default: 10, min: 1, max: 1_000_000, placeholder: "N", doc: "verify every Nth state offline" },
  "opaque-pause-ms": {
    default: 0,
    min: 0,
    max: 60_000,
    placeholder: "N",
    doc: "the opaque branch pauses so long after a payment; 0: full speed",
  },
} as const satisfies Readonly<Record<string, NumberOption>>;
type NumberName = keyof typeof numbers;

/** Reads the arguments behind the program's name. */
export function parseOptions(args: readonly string[]): ParsedOptions {
  const parsed = parse(args);
  if (typeof parsed === "string") return invalid(parsed);
  if (parsed.help === true) return { outcome: "help" };
  const values: Partial<Record<NumberName, number>> = {};
  for (const name of Object.keys(numbers) as NumberName[]) {
    const text = parsed[name];
    const { default: otherwise, min, max }: NumberOption = numbers[name];
    const value = typeof text === "string" ? Number(text) : otherwise;
    if (value === undefined) continue;
    const kind = name === "duration-max-minutes" ? "number" : "whole number";
    const fits = value >= min && value <= max && (kind === "number" || Number.isInteger(value));
    if (text === "" || !fits) return invalid(`--${name} is "${text}"; give a ${kind} from ${min} to ${max}`);
    values[name] = value;
  }
  const redisUrl = parsed["redis-url"];
  const store = parsed.store ?? "embedded";
  if (store !== "embedded" && store !== "redis") return invalid(`--store is "${store}"; give embedded or redis`);
  if (redisUrl !== undefined) {
    if (parsed.store !== undefined) return invalid("--store and --redis-url exclude each other; give one of them");
    if (typeof redisUrl !== "string" || !/^rediss?:\/\/./.test(redisUrl))
      return invalid(`--redis-url is "${redisUrl}"; give redis://HOST:PORT`);
  }
  const numberOf = (name: NumberName) => values[name] ?? numbers[name].default ?? 0;
  const minutes = values["duration-max-minutes"];
  return {
    outcome: "options",
    options: {
      snapshots: numberOf("snapshots"),
      store: typeof redisUrl === "string" ? { redisUrl } : store,
      paddingBytes: numberOf("padding-bytes"),
      slowReaderMs: numberOf("slow-reader-ms"),
      seed: numberOf("seed"),
      durationMsMax: minutes === undefined ? undefined : minutes * 60_000,
      overlap: numberOf("overlap"),
      verifyEvery: numberOf("verify-every"),
      opaquePauseMs: numberOf("opaque-pause-ms"),
    },
  };
}

export function usage(): string {
  const rows: [string, string][] = [
    ["--store embedded|redis", "a file, or a redis-server of its own (default embedded)"],
    ["--redis-url URL", "a Redis that runs"],
  ];
  for (const [name, { placeholder, doc, default: otherwise }] of Object.entries(numbers) as [string, NumberOption][]) {
    const behind = otherwise === undefined ? "no limit" : String(otherwise);
    rows.push([`--${name} ${placeholder}`, `${doc} (default ${behind})`]);
  }
  const width = Math.max(...rows.map(([left]) => left.length));
  return [
    "usage: npm run soak -- [options]",
    "",
    "Takes snapshots of a bank under full load, the first half one after another, the second half overlapping, and",
    "counts the money in each. Ends with 1 when a picture that calls itself exact is wrong, when a branch with the SDK",
    "was flagged, when a snapshot failed or when the traffic took harm; with 2 when it was called wrongly.",
    "",
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
  ].join("\n");
}

function parse(args: readonly string[]): Readonly<Record<string, string | boolean | undefined>> | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        ...Object.fromEntries(Object.keys(numbers).map((name) => [name, { type: "string" as const }])),
        store: { type: "string" },
        "redis-url": { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
    return values as Record<string, string | boolean | undefined>;
  } catch (error) {
    return (error as Error).message;
  }
}

function invalid(message: string): ParsedOptions {
  return { outcome: "invalid", message };
}
