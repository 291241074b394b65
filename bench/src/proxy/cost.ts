import { readdirSync, readFileSync } from "node:fs";

/**
 * The processor time that all threads of a process have had, in microseconds; NaN when it is gone. Read without a turn
 * of the event loop in between, because a load program may end right after it has said that its time is over.
 */
export function cpuTimeNowUs(pid: number): number {
  const folder = `/proc/${pid}/task`;
  let nanoseconds = 0;
  try {
    for (const task of readdirSync(folder)) {
      nanoseconds += Number(readFileSync(`${folder}/${task}/schedstat`, "utf8").split(" ")[0]);
    }
  } catch {
    // It has ended: what it had is not known, and the table says so with a dash.
    return Number.NaN;
  }
  return nanoseconds / 1_000;
}

/** The kernel's clock ticks in what `/proc/PID/stat` tells; the same on all Linux systems. */
const tickUs = 10_000;

/** The same with threads that have ended, in steps of 10 ms: h2load's is gone as soon as its time is over. */
export function cpuTimeWithEndedThreadsUs(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Its name, in parentheses, may have spaces. Fields 14 and 15: in user and in kernel mode.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * tickUs;
  } catch {
    // As above.
    return Number.NaN;
  }
}

/** What it holds of the memory now, in MiB; NaN when it is gone. */
export function residentMib(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_024;
  } catch {
    // As above.
    return Number.NaN;
  }
}
