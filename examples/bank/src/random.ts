import { createHash } from "node:crypto";

/** Repeatable random numbers: the same seed gives the same sequence. Not for secrets. */
export class Random {
  #word: number;

  constructor(seed: string) {
    // Xorshift stays at 0 for ever once it is there.
    this.#word = createHash("sha256").update(seed).digest().readUInt32LE() || 1;
  }

  /** An integer from 0 to `limit - 1`. */
  below(limit: number): number {
    this.#word ^= this.#word << 13;
    this.#word ^= this.#word >>> 17;
    this.#word ^= this.#word << 5;
    return (this.#word >>> 0) % limit;
  }

  pick<T>(choices: readonly T[]): T | undefined {
    return choices[this.below(Math.max(1, choices.length))];
  }
}
