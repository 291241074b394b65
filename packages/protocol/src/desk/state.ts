import { type SnapshotKey, type SnapshotRef, snapshotKey } from "../cut/state.ts";

export interface DeskLimits {
  /** Snapshot attempts for which something is kept. */
  readonly snapshotsMax: number;
  /** How long an attempt is kept, after its time is over, when nobody says that it has ended. */
  readonly forgetAfterMs: number;
}

/** A report, with what came of saying it last: whoever performs `send` notes that. */
export interface SaidReport<R> {
  readonly report: R;
  outcome: "sent" | "detached";
}

/** `notWanted`: the coordinator of the moment does not want the part; another may. */
export interface OwedPart<P> {
  readonly ref: SnapshotRef;
  readonly content: P;
  phase: "underWay" | "notWanted" | "over";
}

export interface DeskEntry<R, P> {
  readonly ref: SnapshotRef;
  /** In the order in which they are said, and said again. */
  reports: SaidReport<R>[];
  readonly parts: Set<OwedPart<P>>;
  phase: "open" | "givenUp" | "failed";
  /** Outside of the scope nothing is uploaded. Until the coordinator says so, a process is taken to be inside. */
  store: boolean;
  expiresAtMs: number;
}

/** What one process owes the coordinator. Changed in place by `stepDesk`. */
export interface DeskState<R, P> {
  readonly limits: DeskLimits;
  readonly open: Map<SnapshotKey, DeskEntry<R, P>>;
}

export function createDeskState<R, P>(limits: DeskLimits): DeskState<R, P> {
  return { limits, open: new Map() };
}

/** The attempts of which something is kept, as the hello names them. */
export function openAttempts({ open }: DeskState<unknown, unknown>): SnapshotRef[] {
  return [...open.values()].map(({ ref }) => ({ ...ref }));
}

/** Whether the attempt still has a place here. */
export function isOpenAttempt({ open }: DeskState<unknown, unknown>, ref: SnapshotRef): boolean {
  return open.has(snapshotKey(ref));
}

/** When to give `tick` next; `undefined`: there is nothing that could expire. */
export function nextExpiryMs({ open }: DeskState<unknown, unknown>): number | undefined {
  let nextMs: number | undefined;
  for (const { expiresAtMs } of open.values()) if (nextMs === undefined || expiresAtMs < nextMs) nextMs = expiresAtMs;
  return nextMs;
}

/**
 * Whether all reports are sent and no upload is under way. Parts that the coordinator did not want are not waited for,
 * nor attempts without a report.
 */
export function isDeskIdle({ open }: DeskState<unknown, unknown>, attachment: "attached" | "detached"): boolean {
  for (const { reports, parts } of open.values()) {
    for (const { phase } of parts) if (phase === "underWay") return false;
    if (reports.length > 0 && attachment === "detached") return false;
    if (reports.some(({ outcome }) => outcome === "detached")) return false;
  }
  return true;
}
