import { setTimeout as sleep } from "node:timers/promises";
import { type SnapshotsTaken, takeSnapshots } from "../snapshots.ts";
import type { AgentPair } from "./agents.ts";
import { cpuTimeNowUs } from "./cost.ts";
import type { LastingLoad } from "./lasting-load.ts";

/** A stretch of a load that goes on. */
interface Stretch {
  readonly callsPerSecond: number;
  /** Processor time of load, hops and echo, for a call. */
  readonly cpuUs: number;
  /** Of these programs, to the time that went by. */
  readonly coreShare: number;
}

/** Two stretches, one right after the other. */
export interface StretchPair {
  readonly without: Stretch;
  readonly with: Stretch;
  readonly taken: SnapshotsTaken;
}

type Rest = AgentPair["rest"];

export interface Loaded {
  readonly load: LastingLoad;
  /** Of all programs that a call passes; without those that were told twice. */
  readonly pids: readonly number[];
  readonly rest: Rest;
}

interface Mark {
  readonly calls: number;
  readonly atMs: number;
  readonly cpuUs: number;
}

async function mark({ load, pids }: Loaded): Promise<Mark> {
  const { calls, atMs } = await load.count();
  return { calls, atMs, cpuUs: cpuOf(pids) };
}

function between(began: Mark, ended: Mark): Stretch {
  const [calls, ms, cpuUs] = [ended.calls - began.calls, ended.atMs - began.atMs, ended.cpuUs - began.cpuUs];
  return { callsPerSecond: (1_000 * calls) / ms, cpuUs: cpuUs / Math.max(1, calls), coreShare: cpuUs / (1_000 * ms) };
}

const steadyStretchMs = 2_000;
const steadyWithin = 0.03;

/** Snapshots are taken and calls made until a call costs as much as it did two stretches before, or the time is over. */
export async function warmUp(loaded: Loaded, msMax: number): Promise<void> {
  const ended = new AbortController();
  const taking = takeSnapshots(loaded.rest, ended.signal);
  const costs: number[] = [];
  const deadlineMs = performance.now() + msMax;
  let began = await mark(loaded);
  for (let rest = msMax; rest > 0; rest = deadlineMs - performance.now()) {
    await sleep(Math.min(steadyStretchMs, rest));
    const now = await mark(loaded);
    costs.push(between(began, now).cpuUs);
    began = now;
    const [first = 0, ...others] = costs.slice(-3);
    if (others.length === 2 && others.every((one) => Math.abs(one / first - 1) <= steadyWithin)) break;
  }
  ended.abort();
  await taking;
}

/** Which of both comes first changes from pair to pair: what becomes faster or slower all the time favours neither. */
export async function measurePairs(
  loaded: Loaded,
  { pairs, stretchMs }: { readonly pairs: number; readonly stretchMs: number },
  progress: (pair: number, measured: StretchPair) => void,
): Promise<StretchPair[]> {
  const measured: StretchPair[] = [];
  const quietly = async (): Promise<Stretch> => {
    const began = await mark(loaded);
    await sleep(stretchMs);
    return between(began, await mark(loaded));
  };
  const withSnapshots = async () => {
    const ended = new AbortController();
    const taking = takeSnapshots(loaded.rest, ended.signal);
    const stretch = await quietly().finally(() => ended.abort());
    return { stretch, taken: await taking };
  };
  for (let index = 0; index < pairs; index += 1) {
    const early = index % 2 === 0 ? await quietly() : undefined;
    const { stretch, taken } = await withSnapshots();
    const pair = { without: early ?? (await quietly()), with: stretch, taken };
    measured.push(pair);
    progress(index + 1, pair);
  }
  return measured;
}

/** Snapshots in quick succession, for how long they hold traffic. */
export async function takeMany(rest: Rest, everyMs: number, durationMs: number): Promise<SnapshotsTaken> {
  const ended = new AbortController();
  const taking = takeSnapshots(rest, ended.signal, everyMs);
  await sleep(durationMs);
  ended.abort();
  return taking;
}

/** The same without calls, with what one of them costs: more than these programs take when nothing happens. */
export async function costOfMany(
  { pids, rest }: Pick<Loaded, "pids" | "rest">,
  everyMs: number,
  durationMs: number,
): Promise<{ readonly taken: SnapshotsTaken; readonly costMs: number }> {
  const used = async (work: () => Promise<unknown>) => {
    const [beganMs, beganUs] = [performance.now(), cpuOf(pids)];
    await work();
    return { ms: performance.now() - beganMs, us: cpuOf(pids) - beganUs };
  };
  const idle = await used(() => sleep(durationMs / 2));
  let taken: SnapshotsTaken | undefined;
  const busy = await used(async () => {
    taken = await takeMany(rest, everyMs, durationMs);
    await sleep(everyMs);
  });
  if (taken === undefined) throw new RangeError("no snapshots were taken");
  const us = busy.us - (idle.us * busy.ms) / idle.ms;
  return { taken, costMs: us / 1_000 / Math.max(1, taken.completed) };
}

function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuTimeNowUs(pid), 0);
}
