/**
 * Frame numbers count from 1 on each channel and never repeat. They are safe integers: at a million frames a second
 * 2^53 is reached after 285 years.
 */
export type FrameNumber = number;

/** A closed range of frame numbers. */
export interface NumberRange {
  readonly first: FrameNumber;
  readonly last: FrameNumber;
}

/**
 * Sums of frame numbers are kept modulo 2^52, so that adding a number below 2^52 stays exact in a double. Together
 * with the count they tell two sets of numbers apart unless they were crafted to collide.
 */
export const sumModulus = 2 ** 52;

export function addToSum(sum: number, number: FrameNumber): number {
  return (sum + number) % sumModulus;
}

/** The sum of `first..last`, modulo {@link sumModulus}. An empty range (`last < first`) gives 0. */
export function sumOfRange(first: FrameNumber, last: FrameNumber): number {
  if (last < first) return 0;
  const total = ((BigInt(first) + BigInt(last)) * (BigInt(last) - BigInt(first) + 1n)) / 2n;
  return Number(total % BigInt(sumModulus));
}

/** A set of numbers that mostly grow: ranges in ascending order, neighbours joined. */
export class NumberSet {
  #ranges: { first: number; last: number }[] = [];
  #count = 0;

  /** Adding a number twice is a caller's bug and is reported as `duplicate`, unchanged. */
  add(number: FrameNumber): "added" | "duplicate" {
    const ranges = this.#ranges;
    let at = ranges.length;
    for (let range = ranges[at - 1]; range !== undefined && range.first > number; range = ranges[at - 1]) at -= 1;
    const before = ranges[at - 1];
    if (before !== undefined && number <= before.last) return "duplicate";
    const after = ranges[at];
    const touchesBefore = before?.last === number - 1;
    const touchesAfter = after?.first === number + 1;
    if (touchesBefore && touchesAfter) {
      before.last = after.last;
      ranges.splice(at, 1);
    } else if (touchesBefore) before.last = number;
    else if (touchesAfter) after.first = number;
    else ranges.splice(at, 0, { first: number, last: number });
    this.#count += 1;
    return "added";
  }

  get count(): number {
    return this.#count;
  }

  ranges(): NumberRange[] {
    return this.#ranges.map((range) => ({ ...range }));
  }
}
