import { setTimeout as sleep } from "node:timers/promises";
import { type Rest, RestProblem } from "@cutline/e2e";

/** Too many run already, or the coordinator does not lead at the moment. */
const refusals: ReadonlySet<number> = new Set([429, 503]);
const everySecondMs = 1_000;

export interface SnapshotsTaken {
  readonly completed: number;
  readonly exact: number;
  /** Those that the coordinator refused, or did not answer to, included. */
  readonly failed: number;
  /** Of every process of every completed snapshot. */
  readonly pausesUs: readonly number[];
}

/** Takes snapshots, the first one after half of the time between two, until the signal. */
export async function takeSnapshots(
  rest: Rest,
  signal: AbortSignal,
  everyMs: number = everySecondMs,
): Promise<SnapshotsTaken> {
  const taking: Promise<Awaited<ReturnType<Rest["take"]>> | "refused">[] = [];
  await rested(everyMs / 2, signal);
  while (!signal.aborted) {
    taking.push(takeUnwatched(rest, everyMs / 2).catch(refusedOrThrow));
    await rested(everyMs, signal);
  }
  const snapshots = await Promise.all(taking);
  const completed = snapshots.filter((one) => one !== "refused").filter(({ phase }) => phase === "Completed");
  return {
    completed: completed.length,
    exact: completed.filter(({ exact }) => exact).length,
    failed: snapshots.length - completed.length,
    pausesUs: completed.flatMap(({ processes }) => processes.map(({ pauseUs }) => pauseUs)),
  };
}

/** Looks how it went after a while: who asks meanwhile takes processors from what is measured. */
async function takeUnwatched(rest: Rest, unwatchedMs: number): ReturnType<Rest["take"]> {
  const { id } = await rest.create({ attempts: 1 });
  await sleep(unwatchedMs);
  return rest.ended(id);
}

function refusedOrThrow(error: unknown): "refused" {
  if (error instanceof RestProblem && refusals.has(error.status)) return "refused";
  // What `fetch` rejects with when it had no answer.
  if (error instanceof TypeError) return "refused";
  throw error;
}

async function rested(ms: number, signal: AbortSignal): Promise<void> {
  // Aborted means that the measuring is over; the caller looks at the signal.
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
