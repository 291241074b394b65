import { settledKept } from "./limits.ts";

/**
 * The ids that were settled before they began, so that one that arrives after all can be told from ordinary traffic.
 *
 * Most of them never arrive, and nothing says so. So when twice `kept` are held, those below `completeThrough` become
 * one bound: every id up to there has begun or is settled, and an id begins once, so what arrives with such an id was
 * settled. If a gap that nobody settles keeps that bound low, those settled longest ago are forgotten, but for `kept`.
 * So an id that was never settled is never taken for one, and memory is bounded.
 */
export class SettledIds {
  readonly #kept: number;
  readonly #ids = new Set<number>();
  #allThrough = -1;

  constructor(kept: number = settledKept) {
    this.#kept = kept;
  }

  has(id: number): boolean {
    return id <= this.#allThrough || this.#ids.has(id);
  }

  /** `completeThrough`: every id of the incarnation up to this one has begun or is settled. */
  add(id: number, completeThrough: number): void {
    this.#ids.add(id);
    if (this.#ids.size <= 2 * this.#kept) return;
    this.#allThrough = completeThrough;
    for (const each of this.#ids) if (each <= completeThrough) this.#ids.delete(each);
    // A set is in the order in which it was filled.
    for (const each of this.#ids) {
      if (this.#ids.size <= this.#kept) break;
      this.#ids.delete(each);
    }
  }
}
