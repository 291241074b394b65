import { parseArgs } from "node:util";
import { type Case, defaultCases, parseCases } from "./cases.ts";

const wayNames = ["direct", "haproxy", "nginx", "agents"] as const;
export type WayName = (typeof wayNames)[number];

/** `one-core`: all programs on one core. `two-cores`: load and first hop on one, second hop and echo on the other. */
export type Shape = "one-core" | "two-cores";

export interface ProxyOptions {
  readonly cases: readonly Case[];
  readonly ways: readonly WayName[];
  readonly rounds: number;
  /** Of one measurement. */
  readonly durationMs: number;
  /** Before each measurement, with the same load. */
  readonly warmUpMs: number;
  /** Snapshots: with a warm-up, and pauses in numbers. */
  readonly thorough: boolean;
  readonly shape: Shape;
  /** Mutual TLS between the two hops. */
  readonly hops: "plain" | "tls";
  /** `snapshots`: the agents only, with and without one every second. */
  readonly mode: "proxies" | "snapshots";
  /** What runs of agents and coordinator. `source`: their TypeScript as it is. */
  readonly agentCode: "built" | "source";
  /** `agents`: both agents write a CPU profile when they end. */
  readonly profile: "none" | "agents";
  readonly save: "no" | "save";
  readonly output: "table" | "json";
}

export type ParsedProxyOptions =
  | { readonly outcome: "options"; readonly options: ProxyOptions }
  | { readonly outcome: "help" }
  | { readonly outcome: "invalid"; readonly message: string };

const namesPerLine = 5;
const snapshotCases = "unary-100@16,grpcjs-100@16";

export const proxyUsage = `usage: npm run bench:proxy -- [options]

Measures calls directly and through a pair of haproxy, of nginx and of agents, interleaved; medians over the rounds.

  --cases LIST      KIND-SIZE@UNDERWAY, or the beginning of default ones (default: all of these)
${listed(defaultCases.map(({ name }) => name))}
  --only LIST       of ${wayNames.join(",")} (default: all)
  --rounds N        1 to 500 (default 5; with --snapshots 16)
  --seconds S       of one measurement, 0.2 to 30 (default 2; with --snapshots 1)
  --quick           one round of 0.5 s (with --snapshots 2 s), unless told otherwise: noisy
  --shape SHAPE     one-core or two-cores (default one-core: all programs on one)
  --tls             mutual TLS between the hops
  --snapshots       agents only: a round is a stretch with a snapshot every second and one without, under a load that
                    goes on (default cases: ${snapshotCases}); grpcjs cases have the SDK and
                    1 MiB of state at both ends, the others are opaque
  --source          agents from TypeScript as it is; default: compiled first, as they are deployed
  --profile agents  both agents write a CPU profile; the folder is told
  --save            writes the result into docs/performance.md
  -o, --output FORM table or json (default table)`;

function listed(names: readonly string[]): string {
  const lines = names.flatMap((_, index) =>
    index % namesPerLine === 0 ? [`                    ${names.slice(index, index + namesPerLine).join(", ")}`] : [],
  );
  return lines.join("\n");
}

export function parseProxyOptions(args: readonly string[]): ParsedProxyOptions {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    return invalid((error as Error).message);
  }
  if (values.help === true) return { outcome: "help" };
  const isQuick = values.quick === true;
  const mode = values.snapshots === true ? "snapshots" : "proxies";
  const rounds = number(values.rounds, isQuick ? 1 : mode === "snapshots" ? 16 : 5, 1, 500);
  if (rounds === undefined || !Number.isInteger(rounds))
    return invalid("--rounds must be a whole number from 1 to 500");
  const seconds = number(values.seconds, mode === "snapshots" ? (isQuick ? 2 : 1) : isQuick ? 0.5 : 2, 0.2, 30);
  if (seconds === undefined) return invalid("--seconds must be a number from 0.2 to 30");
  const { shape = "one-core", output = "table", profile = "none" } = values;
  if (shape !== "one-core" && shape !== "two-cores")
    return invalid(`--shape is "${shape}"; give one-core or two-cores`);
  if (output !== "table" && output !== "json") return invalid(`--output is "${output}"; give table or json`);
  if (profile !== "none" && profile !== "agents") return invalid(`--profile is "${profile}"; give agents`);
  const cases = parseCases(
    values.cases ?? (mode === "snapshots" ? snapshotCases : defaultCases.map(({ name }) => name).join()),
  );
  if ("wrong" in cases) return invalid(`--cases: there is no case "${cases.wrong}"; give KIND-SIZE@UNDERWAY`);
  const only = (values.only ?? wayNames.join()).split(",");
  const unknown = only.find((name) => !wayNames.some((one) => one === name));
  if (unknown !== undefined) return invalid(`--only: there is no way "${unknown}"; give some of ${wayNames.join(",")}`);
  return {
    outcome: "options",
    options: {
      cases,
      ways: wayNames.filter((name) => only.includes(name)),
      rounds,
      durationMs: seconds * 1_000,
      warmUpMs: isQuick ? 200 : 500,
      thorough: !isQuick,
      shape,
      hops: values.tls === true ? "tls" : "plain",
      mode,
      agentCode: values.source === true ? "source" : "built",
      profile,
      save: values.save === true ? "save" : "no",
      output,
    },
  };
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      cases: { type: "string" },
      only: { type: "string" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      quick: { type: "boolean" },
      shape: { type: "string" },
      tls: { type: "boolean" },
      snapshots: { type: "boolean" },
      source: { type: "boolean" },
      profile: { type: "string" },
      save: { type: "boolean" },
      output: { type: "string", short: "o" },
      help: { type: "boolean", short: "h" },
    },
  }).values;
}

function number(text: string | undefined, otherwise: number, min: number, max: number): number | undefined {
  if (text === undefined) return otherwise;
  const value = Number(text);
  return /^\d+(\.\d+)?$/.test(text) && value >= min && value <= max ? value : undefined;
}

function invalid(message: string): ParsedProxyOptions {
  return { outcome: "invalid", message };
}
