import type { NumberSet } from "@cutline/proto/participant";

/** A membership test for the numbers of a `NumberSet`; of nothing when there is no set. */
export function membersOf(set: NumberSet | undefined): (value: number) => boolean {
  if (set === undefined) return () => false;
  const also = new Set(set.also);
  return (value) => (value >= set.first && value <= set.through) || also.has(value);
}

/** All numbers of the set; some may come twice. */
export function* numbersOf({ first, through, also }: NumberSet): Generator<number> {
  for (let number = first; number <= through; number += 1) yield number;
  yield* also;
}
