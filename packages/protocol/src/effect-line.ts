/**
 * Performs effects one after another, in the order in which they were asked for. Performing one may set off another step
 * of the machine that asked for it; the effects of that step come last, and nothing is performed in the middle of another.
 */
export class EffectLine<Effect> {
  readonly #perform: (effect: Effect) => void;
  readonly #waiting: Effect[] = [];
  #performing = false;

  constructor(perform: (effect: Effect) => void) {
    this.#perform = perform;
  }

  add(effects: readonly Effect[]): void {
    // One by one: as arguments, a hundred thousand of them would not fit the stack.
    for (const effect of effects) this.#waiting.push(effect);
    if (this.#performing) return;
    this.#performing = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) this.#perform(next);
    } finally {
      this.#performing = false;
    }
  }
}
