import type { Snapshot } from "@cutline/proto/snapshot";
import type { Fetched } from "../client.ts";
import type { Context } from "../context.ts";
import { CliError, exitCodes, interrupted } from "../errors.ts";
import { createProgress, type Progress, silentProgress } from "../output/progress.ts";
import { isTerminal } from "../output/snapshots.ts";

export interface WaitLimits {
  /** Between the first two looks; grows by half with each one. */
  readonly pollMsMin: number;
  readonly pollMsMax: number;
  /** How long the coordinator may be away while we wait; another replica may be taking over. */
  readonly awayMsMax: number;
  /** How long after the snapshot's own deadline we still wait for its end. */
  readonly graceMs: number;
}

const waitLimitsDefault: WaitLimits = { pollMsMin: 100, pollMsMax: 1000, awayMsMax: 30_000, graceMs: 30_000 };

/** Shows progress until the snapshot has ended. Rejects when interrupted, and when the coordinator stays away. */
export async function waitForEnd(
  context: Context,
  started: Fetched<Snapshot>,
  limits: WaitLimits = waitLimitsDefault,
): Promise<Fetched<Snapshot>> {
  const { io } = context;
  const { id } = started.value;
  const progress: Progress = context.quiet ? silentProgress : createProgress(io.stderr);
  const begunMs = io.now();
  let pollMs = limits.pollMsMin;
  let last = started;
  let seenMs = begunMs;
  let isAway = false;
  try {
    while (!isTerminal(last.value.phase)) {
      const waitedMs = io.now() - begunMs;
      progress.show(last.value, waitedMs);
      if (waitedMs > last.value.timeoutMs + limits.graceMs) throw overdue(last.value, limits);
      await io.sleep(pollMs, io.signal);
      if (io.signal.aborted) throw goesOn(id);
      pollMs = Math.min(limits.pollMsMax, pollMs * 1.5);
      try {
        last = await context.client().get(id);
        seenMs = io.now();
        isAway = false;
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        if (error.exitCode === exitCodes.interrupted) throw goesOn(id);
        if (error.exitCode !== exitCodes.unavailable) throw error;
        if (io.now() - seenMs > limits.awayMsMax) throw staysAway(id, error);
        if (!isAway) progress.note(`the coordinator is away; ${id} may go on, still waiting`);
        isAway = true;
      }
    }
    return last;
  } finally {
    progress.end();
  }
}

/** What the end of a snapshot means for the program's own. */
export function exitCodeOfEnd(snapshot: Snapshot, requireExact: boolean): number {
  if (snapshot.phase !== "Completed") return exitCodes.failed;
  return requireExact && !snapshot.exact ? exitCodes.notExact : exitCodes.ok;
}

function goesOn(id: string): CliError {
  return interrupted(
    `interrupted; the snapshot ${id} goes on. Look at it with "cutline snapshot describe ${id}", stop it with "cutline snapshot abort ${id}"`,
  );
}

function overdue(snapshot: Snapshot, limits: WaitLimits): CliError {
  return new CliError(
    "SnapshotOverdue",
    exitCodes.unavailable,
    `the snapshot ${snapshot.id} is still ${snapshot.phase}, ${limits.graceMs / 1000} s after its own deadline; see whether a coordinator leads`,
  );
}

function staysAway(id: string, cause: CliError): CliError {
  return new CliError(
    "CoordinatorUnreachable",
    exitCodes.unavailable,
    `${cause.message}. The snapshot ${id} may go on: look at it later with "cutline snapshot describe ${id}"`,
    { cause },
  );
}
