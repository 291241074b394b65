import { readFile } from "node:fs/promises";
import type { System } from "../system/system.ts";

/** How many payments have come to an end, accepted or refused, since the branches opened. */
export async function paymentsEnded(system: System): Promise<number> {
  const states = await Promise.all(system.branches.map((branch) => branch.state()));
  return states.reduce(
    (sum, { counters: { transfersReceived, settlementsReceived, refused } }) =>
      sum + transfersReceived + settlementsReceived + refused,
    0,
  );
}

/** What is wrong once all traffic has come to rest: money that is gone, and calls that failed. Empty: no harm was done. */
export async function harmDone(system: System): Promise<string[]> {
  await system.pauseTraffic();
  const states = await Promise.all(system.branches.map((branch) => branch.state()));
  const harm = states.flatMap(({ branch, failures }) =>
    Object.entries(failures).map(([status, count]) => `${count} calls of ${branch} ended with ${status}`),
  );
  const sumCents = states.reduce((sum, { balanceCents, unresolvedCents }) => sum + balanceCents + unresolvedCents, 0);
  if (sumCents !== system.totalCents)
    harm.push(`at rest the branches have ${sumCents} cents, not ${system.totalCents}`);
  return harm;
}

/** The most memory that a process ever held, where the system says so (Linux); undefined elsewhere. */
export async function residentBytesMax(pid: number): Promise<number | undefined> {
  try {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1_024;
  } catch {
    // No /proc here, or the process has ended, which is reported elsewhere.
    return undefined;
  }
}
