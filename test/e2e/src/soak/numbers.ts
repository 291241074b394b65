/** A sequence of numbers in [0, 1) that the seed alone decides (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** By nearest rank; all 0 when there are no values. */
export function quantilesOf(values: readonly number[]): Quantiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The share of the time from `within.fromMs` to `within.toMs` in which at least `least` of the spans run. */
export function overlapShare(spans: readonly Span[], within: Span, least: number): number {
  const turns = spans.flatMap(({ fromMs, toMs }) => [
    { atMs: fromMs, change: 1 },
    { atMs: toMs, change: -1 },
  ]);
  turns.sort((a, b) => a.atMs - b.atMs || a.change - b.change);
  let running = 0;
  let enoughMs = 0;
  let lastMs = within.fromMs;
  for (const { atMs, change } of [...turns, { atMs: within.toMs, change: 0 }]) {
    const upToMs = Math.min(Math.max(atMs, within.fromMs), within.toMs);
    if (running >= least) enoughMs += upToMs - lastMs;
    lastMs = upToMs;
    running += change;
  }
  const wholeMs = within.toMs - within.fromMs;
  return wholeMs <= 0 ? 0 : enoughMs / wholeMs;
}
