import { readdir, readFile } from "node:fs/promises";

/**
 * The processor time that all threads of a process have had, in microseconds. From the scheduler's own counters
 * (nanoseconds), because those of `getrusage` move in steps of 1 to 10 ms. Linux only; NaN elsewhere.
 */
export async function cpuTimeUs(pid: number): Promise<number> {
  const folder = `/proc/${pid}/task`;
  let nanoseconds = 0;
  try {
    for (const task of await readdir(folder)) {
      const [onProcessor = ""] = (await readFile(`${folder}/${task}/schedstat`, "utf8")).split(" ");
      nanoseconds += Number(onProcessor);
    }
  } catch {
    // No such counters here: the table says so with a dash.
    return Number.NaN;
  }
  return nanoseconds / 1_000;
}
