import type { Engine, Timer } from "./engine.ts";

/** What one program takes for the time: it may be ahead, jump, and run at another rate, timers included. */
export class LocalClock {
  readonly #engine: Engine;
  #rate = 1;
  #localMs: number;
  #sinceMs = 0;

  constructor(engine: Engine, aheadMs: number) {
    this.#engine = engine;
    this.#sinceMs = engine.nowMs;
    this.#localMs = engine.nowMs + aheadMs;
  }

  get nowMs(): number {
    return Math.floor(this.#localMs + (this.#engine.nowMs - this.#sinceMs) * this.#rate);
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#engine.after(delayMs / this.#rate, run);
  }

  jump(byMs: number): void {
    this.#settle();
    this.#localMs += byMs;
  }

  setRate(rate: number): void {
    this.#settle();
    this.#rate = rate;
  }

  #settle(): void {
    this.#localMs += (this.#engine.nowMs - this.#sinceMs) * this.#rate;
    this.#sinceMs = this.#engine.nowMs;
  }
}
