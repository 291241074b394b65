import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { Shape } from "./options.ts";

/** Cores by number. */
export interface Placement {
  readonly load: number;
  readonly hop1: number;
  readonly hop2: number;
  readonly echo: number;
  /** The coordinator and this program: they take part in no call. */
  readonly aside: number;
  /** All that there are. */
  readonly every: readonly number[];
}

/** The last core has fewer interrupts than the first one. Where there is one only, everything shares it. */
export async function placementOf(shape: Shape): Promise<Placement> {
  const allowed = await allowedCores();
  const [first = 0, last = first] = [allowed[0], allowed.at(-1)];
  const second = shape === "one-core" ? last : (allowed.at(-2) ?? last);
  return { load: last, hop1: last, hop2: second, echo: second, aside: first, every: allowed };
}

/** Moves a running program, with all its threads. */
export async function pin(pid: number, ...cores: readonly number[]): Promise<void> {
  await promisify(execFile)("taskset", ["-a", "-c", "-p", cores.join(), String(pid)]);
}

async function allowedCores(): Promise<number[]> {
  const status = await readFile("/proc/self/status", "utf8");
  const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(status)?.[1] ?? "0";
  return list.split(",").flatMap((range) => {
    const [from = 0, to = from] = range.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}
