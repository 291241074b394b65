/** The same thing is said once in so long; what comes between is counted elsewhere. */
const repeatMs = 60_000;
/** Things remembered. Beyond it some are said again too early. */
const rememberedMax = 1_000;

/** Keeps one who tries for ever from filling the log. */
export class Repeats {
  readonly #saidAtMs = new Map<string, number>();

  /** Whether it is to be said now. */
  isDue(key: string, nowMs: number): boolean {
    const saidAtMs = this.#saidAtMs.get(key);
    if (saidAtMs !== undefined && nowMs - saidAtMs < repeatMs) return false;
    if (this.#saidAtMs.size >= rememberedMax) this.#saidAtMs.clear();
    this.#saidAtMs.set(key, nowMs);
    return true;
  }
}
