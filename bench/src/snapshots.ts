import { setTimeout as sleep } from "node:timers/promises";
import type { Rest } from "@cutline/e2e";

const everyMs = 1_000;

export interface SnapshotsTaken {
  readonly completed: number;
  readonly exact: number;
  readonly failed: number;
  /** Of every process of every completed snapshot. */
  readonly pausesUs: readonly number[];
}

/** Takes a snapshot every second, the first one after half a second, until the signal. */
export async function takeEverySecond(rest: Rest, signal: AbortSignal): Promise<SnapshotsTaken> {
  const taking: ReturnType<Rest["take"]>[] = [];
  await rested(everyMs / 2, signal);
  while (!signal.aborted) {
    taking.push(rest.take({ attempts: 1 }));
    await rested(everyMs, signal);
  }
  const snapshots = await Promise.all(taking);
  const completed = snapshots.filter(({ phase }) => phase === "Completed");
  return {
    completed: completed.length,
    exact: completed.filter(({ exact }) => exact).length,
    failed: snapshots.length - completed.length,
    pausesUs: completed.flatMap(({ processes }) => processes.map(({ pauseUs }) => pauseUs)),
  };
}

async function rested(ms: number, signal: AbortSignal): Promise<void> {
  // Aborted means that the measuring is over; the caller looks at the signal.
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
