import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  /** Of this repository; `+` behind it when files differ from it, `unknown` without git. */
  readonly commit: string;
  /** Over the last minute, before the measuring: on an idle machine about 0. */
  readonly loadBefore: string;
}

export async function describeMachine(nodeVersion: string): Promise<Machine> {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: nodeVersion,
    commit: await commit(),
    loadBefore: (await readFile("/proc/loadavg", "utf8").catch(() => "unknown")).split(" ")[0] ?? "unknown",
  };
}

async function commit(): Promise<string> {
  const git = async (...args: string[]) => {
    const cwd = fileURLToPath(new URL(".", import.meta.url));
    return (await promisify(execFile)("git", args, { cwd })).stdout.trim();
  };
  try {
    const changed = await git("status", "--porcelain", "--untracked-files=no");
    return `${await git("rev-parse", "--short=10", "HEAD")}${changed === "" ? "" : "+"}`;
  } catch {
    // Measured from an archive, or without git.
    return "unknown";
  }
}
