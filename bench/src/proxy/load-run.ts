import { Program, type ProgramSpec } from "./program.ts";

/** What a load saw in the time that was measured. */
export interface LoadResult {
  readonly calls: number;
  readonly failures: number;
  readonly elapsedMs: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** Called at the beginning and at the end of what is measured, with the load program's process. */
export type Sample = (at: "began" | "ended", loadPid: number) => void;

export interface LoadRun {
  readonly spec: ProgramSpec;
  /** In the lines that say so. */
  readonly began: string;
  readonly ended: string;
  readonly timeoutMs: number;
}

/** Runs a load program to its end; resolves with what it wrote. Rejects with `ProgramFailed`. */
export async function runLoad(
  { spec, began, ended, timeoutMs }: LoadRun,
  path: string,
  sample: Sample,
): Promise<string[]> {
  const lines: string[] = [];
  const program: Program = new Program(spec, path, (line) => {
    if (line.includes(began)) sample("began", program.pid);
    else if (line.includes(ended)) sample("ended", program.pid);
    lines.push(line);
  });
  let isLate = false;
  const killer = setTimeout(() => {
    isLate = true;
    program.kill();
  }, timeoutMs);
  const how = await program.ended;
  clearTimeout(killer);
  if (isLate) throw program.failed(`did not end in ${timeoutMs} ms`);
  if (how !== "exit code 0") throw program.failed(`ended with ${how}`);
  return lines;
}
