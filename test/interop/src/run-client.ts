import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { pythonWithGrpc } from "./python.ts";
import type { ClientScript, SeenCase } from "./script.ts";
import type { ClientStack } from "./stacks.ts";

const program = fileURLToPath(new URL("./clients/main.ts", import.meta.url));
const pythonProgram = fileURLToPath(new URL("../python/client.py", import.meta.url));
const timeoutMs = 90_000;
let scripts = 0;

/** Runs a client program with a script; `grpcProxy` stands in its environment. Rejects when it fails by itself. */
export async function runClient(
  stack: ClientStack["name"],
  script: ClientScript,
  folder: string,
  grpcProxy?: string,
): Promise<SeenCase[]> {
  scripts += 1;
  const file = join(folder, `script-${scripts}.json`);
  await writeFile(file, JSON.stringify(script));
  const [executable, args] =
    stack === "grpc-core"
      ? [pythonWithGrpc(), [pythonProgram, file]]
      : [process.execPath, ["--conditions=cutline-source", program, stack, file]];
  const { PATH = "", NODE_OPTIONS = "" } = process.env;
  const environment = { PATH, NODE_OPTIONS, ...(grpcProxy !== undefined && { grpc_proxy: grpcProxy }) };
  const child = spawn(executable, args, { env: environment, timeout: timeoutMs, killSignal: "SIGKILL" });
  const [output, errors, how] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<string>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
    }),
  ]);
  if (how !== "exit code 0") throw new Error(`the client of ${stack} ended with ${how}:\n${errors.slice(-2_000)}`);
  return JSON.parse(output) as SeenCase[];
}
