import type { ProcessId } from "../cut/state.ts";

/** What a start is judged by. */
export interface AdmissionFacts {
  /** `undefined`: this replica does not lead. */
  readonly term: number | undefined;
  readonly running: number;
  readonly lastStartMs: number | undefined;
  readonly nowMs: number;
  readonly attached: ReadonlySet<ProcessId>;
}

export interface AdmissionLimits {
  /** Snapshots that run at a time. */
  readonly concurrentMax: number;
  /** Between two starts. */
  readonly minimumPauseMs: number;
}

export interface StartRefusal {
  readonly code: "NotLeading" | "TooManySnapshots" | "TooSoon" | "NoProcesses" | "UnknownInitiator";
  readonly message: string;
  /** Absent: asking again is of no use. */
  readonly retryAfterMs?: number;
}

/** When a place among the running snapshots may be free again. */
const retryMs = 1_000;

/** Why a snapshot cannot start now. `undefined`: it can. `initiator` may be empty. */
export function startRefusal(
  initiator: ProcessId,
  facts: AdmissionFacts,
  limits: AdmissionLimits,
): StartRefusal | undefined {
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
  if (facts.attached.size === 0) return refuse("NoProcesses", "no agent is attached; start one first", retryMs);
  if (initiator !== "" && !facts.attached.has(initiator)) {
    return refuse("UnknownInitiator", `no attached process is called ${initiator}`);
  }
  return undefined;
}

function refuse(code: StartRefusal["code"], message: string, retryAfterMs?: number): StartRefusal {
  return { code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
