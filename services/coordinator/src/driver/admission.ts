import type { KnownProcess } from "../agents/directory.ts";
import type { StartOutcome, StartRequest } from "../snapshots.ts";
import type { DriverLimits } from "./limits.ts";

export interface AdmissionFacts {
  readonly term: number | undefined;
  readonly running: number;
  readonly lastStartMs: number | undefined;
  readonly nowMs: number;
  readonly processes: readonly KnownProcess[];
}

type Refusal = Extract<StartOutcome, { outcome: "refused" }>;

/** When a place among the running snapshots may be free again. */
const retryMs = 1_000;

/** Why a snapshot cannot start now. `undefined`: it can. */
export function refusalOf(request: StartRequest, facts: AdmissionFacts, limits: DriverLimits): Refusal | undefined {
  if (facts.term === undefined) {
    return refuse("NotLeading", "this coordinator does not lead; ask again, or ask another replica", retryMs);
  }
  if (facts.running >= limits.concurrentMax) {
    const message = `${facts.running} snapshots run and at most ${limits.concurrentMax} may; wait for one to end`;
    return refuse("TooManySnapshots", message, retryMs);
  }
  const waitMs = facts.lastStartMs === undefined ? 0 : facts.lastStartMs + limits.minimumPauseMs - facts.nowMs;
  if (waitMs > 0) {
    return refuse("TooSoon", `snapshots start at least ${limits.minimumPauseMs} ms apart`, waitMs);
  }
  const attached = facts.processes.filter(({ detachedAtMs }) => detachedAtMs === undefined);
  if (attached.length === 0) return refuse("NoProcesses", "no agent is attached; start one first", retryMs);
  const { initiator } = request;
  if (initiator !== undefined && !attached.some(({ hello }) => hello.processId === initiator)) {
    return refuse("UnknownInitiator", `no attached process is called ${initiator}`);
  }
  return undefined;
}

function refuse(code: Refusal["code"], message: string, retryAfterMs?: number): Refusal {
  return { outcome: "refused", code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
