/** The Lease as this replica reads it. */
export interface LeaseRecord {
  /** Empty: released. */
  readonly holder: string;
  /** The holder's leadership term in the coordinator's store; 0 where none is written. */
  readonly term: number;
  /** Changes with every write. */
  readonly version: string;
  readonly durationMs: number;
}

/** One replica's seat at the Lease. `decideLease` and the notes below change it in place. */
export interface LeaseSeat {
  readonly self: string;
  readonly durationMs: number;
  /** The record as it was first seen, by this replica's clock: clocks of others are not compared. */
  seen: { readonly version: string; readonly atMs: number } | undefined;
  held: { readonly term: number; readonly untilMs: number } | undefined;
}

/** What to do at the Lease now. `stand`: nothing, and try again at the next turn. */
export type LeaseStep =
  | { readonly do: "create"; readonly term: number }
  /** Becomes, or stays, the holder. */
  | { readonly do: "take" | "renew"; readonly term: number }
  /** Says that it holds it no more, so that the next one need not wait. */
  | { readonly do: "release" }
  | { readonly do: "stand"; readonly reason: string };

export function createLeaseSeat(self: string, durationMs: number): LeaseSeat {
  return { self, durationMs, seen: undefined, held: undefined };
}

/**
 * The coordinator's own term decides; the Lease follows it. Only the leader in the store may hold the Lease, for nobody
 * else can start, abort or remove a snapshot. A higher term takes it from a lower one at once, since the store has
 * granted the higher one after the lower had ended; a lower term waits until a higher one has not renewed for a whole
 * duration (then terms count from anew: the store was replaced).
 */
export function decideLease(
  seat: LeaseSeat,
  record: LeaseRecord | undefined,
  term: number | undefined,
  nowMs: number,
): LeaseStep {
  if (record !== undefined && seat.seen?.version !== record.version)
    seat.seen = { version: record.version, atMs: nowMs };
  if (term === undefined) {
    seat.held = undefined;
    return record?.holder === seat.self ? { do: "release" } : { do: "stand", reason: "this replica does not lead" };
  }
  if (record === undefined) return { do: "create", term };
  if (record.holder === seat.self) return { do: record.term === term ? "renew" : "take", term };
  if (record.holder === "" || record.term < term) return { do: "take", term };
  seat.held = undefined;
  const sinceMs = nowMs - (seat.seen?.atMs ?? nowMs);
  if (sinceMs >= record.durationMs) return { do: "take", term };
  return { do: "stand", reason: `${record.holder} holds the Lease in term ${record.term}` };
}

/** A write of the Lease, sent at `askedAtMs`, has succeeded. */
export function noteHeld(seat: LeaseSeat, term: number, askedAtMs: number): void {
  seat.held = { term, untilMs: askedAtMs + seat.durationMs };
}

/** Whether this replica may write in this term: it leads in the store, and holds the Lease in the same term. */
export function mayWrite(seat: LeaseSeat, term: number | undefined, nowMs: number): boolean {
  return seat.held !== undefined && seat.held.term === term && nowMs < seat.held.untilMs;
}
