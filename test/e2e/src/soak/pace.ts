import { quantilesOf } from "./numbers.ts";

/** Durations that are looked back at. */
const recentMax = 20;
const typicalMsAtFirst = 300;
/** From when on it is worth looking whether a snapshot has ended, as a share of what they take. */
const lookFromShare = 0.6;

/**
 * When to start the next snapshot, so that at least `overlap` run at any time. Those that begin together end together,
 * so that none is left: they are started apart from each other as long as enough of them run.
 */
export class Pace {
  readonly #overlap: number;
  readonly #recentMs: number[] = [];
  #lastStartMs = Number.NEGATIVE_INFINITY;
  running = 0;

  constructor(overlap: number) {
    this.#overlap = overlap;
  }

  /** So many run at most. */
  static runningMax(overlap: number): number {
    return overlap + 3;
  }

  /** How long a snapshot need not be asked whether it has ended. */
  get lookAfterMs(): number {
    return this.#typicalMs * lookFromShare;
  }

  /** `needed`: no more than keep up the overlap. */
  mayStart(nowMs: number, how: "needed" | "possible"): boolean {
    const max = Pace.runningMax(this.#overlap);
    if (this.running <= this.#overlap) return true;
    return how === "possible" && this.running < max && nowMs - this.#lastStartMs >= this.#typicalMs / max;
  }

  started(nowMs: number): void {
    this.running += 1;
    this.#lastStartMs = nowMs;
  }

  ended(durationMs: number): void {
    this.running -= 1;
    this.#recentMs.push(durationMs);
    if (this.#recentMs.length > recentMax) this.#recentMs.shift();
  }

  get #typicalMs(): number {
    return this.#recentMs.length === 0 ? typicalMsAtFirst : quantilesOf(this.#recentMs).p50;
  }
}
