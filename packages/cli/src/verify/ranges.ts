import type { NumberRange } from "@cutline/protocol";

/** Ascending numbers joined to ranges; a number that comes twice is in `duplicates` (at most `duplicatesMax` of them). */
export function rangesOf(
  numbers: readonly number[],
  duplicatesMax: number,
): { ranges: NumberRange[]; duplicates: number[] } {
  const ranges: { first: number; last: number }[] = [];
  const duplicates: number[] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const range = ranges.at(-1);
    if (range !== undefined && number === range.last) {
      if (duplicates.length < duplicatesMax && duplicates.at(-1) !== number) duplicates.push(number);
    } else if (range !== undefined && number === range.last + 1) range.last = number;
    else ranges.push({ first: number, last: number });
  }
  return { ranges, duplicates };
}

/** What is in `ranges` and not in `others`. Both ascending and disjoint. */
export function subtract(ranges: readonly NumberRange[], others: readonly NumberRange[]): NumberRange[] {
  const left: NumberRange[] = [];
  let at = 0;
  for (const range of ranges) {
    let first = range.first;
    while (at < others.length && (others[at]?.last ?? 0) < first) at += 1;
    for (let index = at; index < others.length; index += 1) {
      const other = others[index];
      if (other === undefined || other.first > range.last) break;
      if (other.first > first) left.push({ first, last: other.first - 1 });
      first = Math.max(first, other.last + 1);
    }
    if (first <= range.last) left.push({ first, last: range.last });
  }
  return left;
}

/** `1, 4-9, 12` and how many more. */
export function formatRanges(ranges: readonly NumberRange[]): string {
  const shownMax = 10;
  const shown = ranges.slice(0, shownMax).map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  const more = ranges.length - shown.length;
  return more > 0 ? `${shown.join(", ")} and ${more} ranges more` : shown.join(", ");
}
