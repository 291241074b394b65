import type { RunResult } from "./run.ts";

/** What many runs count together. */
export interface Tally {
  schedules: number;
  events: number;
  readonly snapshots: Record<string, number>;
  readonly faults: Record<string, number>;
  /** Of the snapshots that a coordinator drove: one may be driven by several. */
  readonly ended: Record<string, number>;
}

export function tallyOf(result?: RunResult): Tally {
  if (result === undefined) return { schedules: 0, events: 0, snapshots: {}, faults: {}, ended: {} };
  const { events, snapshots, faults, ended } = result;
  return {
    schedules: 1,
    events,
    snapshots: Object.fromEntries(snapshots),
    faults: Object.fromEntries(faults),
    ended: { ...ended },
  };
}

export function add(to: Tally, other: Tally): void {
  to.schedules += other.schedules;
  to.events += other.events;
  for (const list of ["snapshots", "faults", "ended"] as const) {
    for (const [name, count] of Object.entries(other[list])) to[list][name] = (to[list][name] ?? 0) + count;
  }
}

export function text(tally: Tally, ms: number, jobs: number): string {
  const list = (counts: Record<string, number>) =>
    Object.entries(counts)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `${name} ${count}`)
      .join(", ");
  const perSecond = (count: number) => Math.round((count * 1_000) / ms);
  return [
    `${tally.schedules} schedules in ${(ms / 1_000).toFixed(1)} s with ${jobs} jobs: ${perSecond(tally.schedules)} a second`,
    `${tally.events} events, ${perSecond(tally.events)} a second`,
    `snapshots: ${list(tally.snapshots)}`,
    `as coordinators saw them end: ${list(tally.ended)}`,
    `faults: ${list(tally.faults)}`,
  ].join("\n");
}
