import type { NumberSet } from "@cutline/proto/participant";

/** A membership test for the numbers of a `NumberSet`; of nothing when there is no set. */
export function membersOf(set: NumberSet | undefined): (value: number) => boolean {
  if (set === undefined) return () => false;
  const also = new Set(set.also);
  return (value) => (value >= set.first && value <= set.through) || also.has(value);
}
