/** 2026-01-01T00:00:00Z. Terms are counted from here, so that they leave room for the versions made of them. */
export const termEpochMs = 1_767_225_600_000;

/**
 * The term after `term` (0: none is known): milliseconds since 2026 by the store's clock, or one more than the last where that is
 * more. So terms grow even when the store has lost the last one, unless its clock goes back at the same time; they
 * stay below 2^41 until 2095; and each is at least as far from the last as that one's leader led, in milliseconds.
 */
export function nextTerm(term: number, nowMs: number): number {
  return Math.max(term + 1, Math.floor(nowMs) - termEpochMs);
}

/**
 * Versions of the directory grow across take-overs: a term has this many of its own for each millisecond that passes
 * until the next one. With terms below 2^41 they are safe integers.
 */
const versionsPerTerm = 2 ** 12;

/** The version of the directory after so many changes in this term. */
export function directoryVersion(term: number, changes: number): number {
  return term * versionsPerTerm + changes;
}
