import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ProxyBenchError } from "./errors.ts";
import type { ProxyOptions } from "./options.ts";

const repository = fileURLToPath(new URL("../../../", import.meta.url));

/** Arguments of Node.js that run a program of this repository. */
export interface AgentCode {
  /** One of `services/`, by its folder. */
  service(name: "agent" | "coordinator"): readonly string[];
}

/** Compiles what is to run, unless it is to run from its sources. Rejects with `ProgramFailed` when it has errors. */
export async function prepareAgentCode(code: ProxyOptions["agentCode"], executable: string): Promise<AgentCode> {
  if (code === "source")
    return {
      service: (name) => [...flagsOf(name), sourceCondition, join(repository, "services", name, "src/main.ts")],
    };
  const compiler = join(repository, "node_modules/typescript/bin/tsc");
  try {
    await promisify(execFile)(executable, [compiler, "-b", "services/agent", "services/coordinator"], {
      cwd: repository,
    });
  } catch (error) {
    const { stdout = "", message } = error as Error & { stdout?: string };
    const advice = "mend it, or give --source to run it all the same";
    throw new ProxyBenchError(
      "ProgramFailed",
      `agent and coordinator do not compile; ${advice}:\n${stdout || message}`,
    );
  }
  return { service: (name) => [...flagsOf(name), join(repository, "services", name, "dist/src/main.js")] };
}

/** As the image starts them (deploy/image/build.sh). */
function flagsOf(name: "agent" | "coordinator"): readonly string[] {
  return name === "agent" ? ["--single-threaded-gc"] : [];
}

/** Makes packages be taken from their TypeScript. */
export const sourceCondition = "--conditions=cutline-source";
