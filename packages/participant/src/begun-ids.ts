import type { NumberSet } from "@cutline/proto/participant";
import { begunSparseMax } from "./limits.ts";

/**
 * The ids of incoming calls whose handler has begun: a floor that everything below has reached, and the few above it.
 *
 * An id whose call was refused or cancelled before its handler could begin leaves a gap for ever. So when more than
 * `sparseMax` ids stand above a gap, the gap counts as begun and ended: a call that the agent handed over whole cannot
 * be overtaken by so many others, and about calls it has not handed over whole the agent does not ask (see the capture
 * contract).
 */
export class BegunIds {
  readonly #first: number;
  readonly #sparseMax: number;
  #through: number;
  readonly #above = new Set<number>();

  constructor(first: number, sparseMax: number = begunSparseMax) {
    this.#first = first;
    this.#through = first - 1;
    this.#sparseMax = sparseMax;
  }

  add(id: number): void {
    if (id <= this.#through) return;
    this.#above.add(id);
    this.#rise();
    if (this.#above.size <= this.#sparseMax) return;
    let lowest = Number.POSITIVE_INFINITY;
    for (const each of this.#above) lowest = Math.min(lowest, each);
    this.#through = lowest - 1;
    this.#rise();
  }

  toNumberSet(): NumberSet {
    return { first: this.#first, through: this.#through, also: [...this.#above].sort((a, b) => a - b) };
  }

  #rise(): void {
    while (this.#above.delete(this.#through + 1)) this.#through += 1;
  }
}
