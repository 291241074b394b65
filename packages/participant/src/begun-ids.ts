import type { NumberSet } from "@cutline/proto/participant";
import { begunSparseMax } from "./limits.ts";
import { SettledIds } from "./settled-ids.ts";

/**
 * The ids of incoming calls whose handler has begun, or which were settled: a floor that everything below has reached,
 * and the few above it.
 *
 * An id whose call never begins leaves a gap until the agent settles it. When more than `sparseMax` ids stand above a
 * gap, the gap counts as begun and ended: a call that the agent handed over whole cannot be overtaken by so many
 * others, and about calls it has not handed over whole the agent does not ask (see the capture contract). A call in
 * such a gap is served like any other when it comes.
 */
export class BegunIds {
  readonly #first: number;
  readonly #sparseMax: number;
  readonly #settled: SettledIds;
  #through: number;
  #lastBeforeGivenUpGap: number | undefined;
  readonly #above = new Set<number>();

  constructor(first: number, sparseMax: number = begunSparseMax, settledKept?: number) {
    this.#first = first;
    this.#through = first - 1;
    this.#sparseMax = sparseMax;
    this.#settled = new SettledIds(settledKept);
  }

  add(id: number): void {
    if (id <= this.#through) return;
    this.#above.add(id);
    this.#rise();
    if (this.#above.size > this.#sparseMax) this.#giveUpLowestGap();
  }

  /** From now on it counts as begun, unless it has begun already. */
  settle(id: number): void {
    if (id <= this.#completeThrough || this.#above.has(id)) return;
    this.add(id);
    this.#settled.add(id, this.#completeThrough);
  }

  /** To be asked before the call begins. */
  isSettled(id: number): boolean {
    return this.#settled.has(id);
  }

  toNumberSet(): NumberSet {
    return { first: this.#first, through: this.#through, also: [...this.#above].sort((a, b) => a - b) };
  }

  /** Every id up to here has begun or is settled: unlike `#through`, it stops below a gap that only counts as begun. */
  get #completeThrough(): number {
    return this.#lastBeforeGivenUpGap ?? this.#through;
  }

  #rise(): void {
    while (this.#above.delete(this.#through + 1)) this.#through += 1;
  }

  #giveUpLowestGap(): void {
    this.#lastBeforeGivenUpGap ??= this.#through;
    this.#through = this.#lowestAbove() - 1;
    this.#rise();
  }

  /** Walks over the gap while that is shorter than the way through all ids: each id is walked over once. */
  #lowestAbove(): number {
    const walkMax = this.#through + this.#above.size;
    for (let id = this.#through + 1; id <= walkMax; id += 1) if (this.#above.has(id)) return id;
    let lowest = Number.POSITIVE_INFINITY;
    for (const each of this.#above) lowest = Math.min(lowest, each);
    return lowest;
  }
}
