import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ProxyBenchError } from "./errors.ts";
import type { ProxyOptions } from "./options.ts";

/** Versions of what was measured, and with what. */
export type Versions = Readonly<Record<string, string>>;

interface Tool {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly isNeeded: (options: ProxyOptions) => boolean;
}

const always = () => true;
const isWithC = ({ cases }: ProxyOptions) => cases.some(({ kind }) => kind !== "grpcjs");
const tools: readonly Tool[] = [
  { name: "taskset", command: ["taskset", "--version"], isNeeded: always },
  { name: "setpriv", command: ["setpriv", "--version"], isNeeded: always },
  {
    name: "haproxy",
    command: ["haproxy", "-v"],
    isNeeded: ({ mode, ways }) => mode === "proxies" && ways.includes("haproxy"),
  },
  {
    name: "nginx",
    command: ["nginx", "-v"],
    isNeeded: ({ mode, ways }) => mode === "proxies" && ways.includes("nginx"),
  },
  {
    name: "h2load",
    command: ["h2load", "--version"],
    isNeeded: ({ mode, cases }) => mode === "proxies" && cases.some(({ kind }) => kind === "unary"),
  },
  { name: "gcc", command: ["gcc", "--version"], isNeeded: isWithC },
  { name: "openssl", command: ["openssl", "version"], isNeeded: ({ hops }) => hops === "tls" },
];
const shown = ["haproxy", "nginx", "h2load", "openssl"];

/** Rejects with `ProgramMissing`, naming all that are missing and how to get them. */
export async function findTools(options: ProxyOptions, path: string): Promise<Versions> {
  const versions: Record<string, string> = {};
  const missing: string[] = [];
  for (const { name, command, isNeeded } of tools) {
    if (!isNeeded(options)) continue;
    const said = await run(command, path);
    if (said === undefined) missing.push(name);
    else if (shown.includes(name)) versions[name] = /\d+\.\d+[\w.+-]*/.exec(said)?.[0] ?? "unknown";
  }
  if (missing.length === 0) return versions;
  const message = `not installed: ${missing.join(", ")}; run scripts/ensure-proxies.sh, or leave ways out with --only`;
  throw new ProxyBenchError("ProgramMissing", message);
}

/** What it wrote; `undefined` when it is not there. */
async function run([program, ...args]: readonly [string, ...string[]], path: string): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await promisify(execFile)(program, args, { env: { PATH: path } });
    return stdout + stderr;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
