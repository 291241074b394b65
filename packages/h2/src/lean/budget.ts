/** So many at once, so many a second in the long run. */
export class Budget {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #at = performance.now();

  constructor(burst: number, perSecond: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
  }

  spend(): "ok" | "exceeded" {
    if (this.#left < 1) {
      const nowMs = performance.now();
      this.#left = Math.min(this.#burst, this.#left + ((nowMs - this.#at) / 1000) * this.#perSecond);
      this.#at = nowMs;
      if (this.#left < 1) return "exceeded";
    }
    this.#left -= 1;
    return "ok";
  }

  /** Gives one back: what was spent led to something. */
  earn(): void {
    if (this.#left < this.#burst) this.#left += 1;
  }
}
