/** A ratio that was estimated from pairs. */
export interface Estimate {
  readonly ratio: number;
  readonly pairs: number;
  /** With 95 %; of fewer than 6 pairs all that was seen, which is less. */
  readonly from: number;
  readonly to: number;
}

const normalAt95 = 1.96;

/**
 * The middle of ratios and where it lies: Hodges and Lehmann's estimate and the interval of Wilcoxon's signed-rank test,
 * of their logarithms. A few that something else disturbed move neither by much. Needs at least one ratio; all above 0.
 */
export function estimateOf(ratios: readonly number[]): Estimate {
  const logs = ratios.map(Math.log);
  const means = logs.flatMap((one, index) => logs.slice(index).map((other) => (one + other) / 2)).sort((a, b) => a - b);
  const n = logs.length;
  const spread = normalAt95 * Math.sqrt((n * (n + 1) * (2 * n + 1)) / 24);
  const left = Math.max(1, Math.floor((n * (n + 1)) / 4 - spread)) - 1;
  const at = (index: number) => Math.exp(means[index] ?? Number.NaN);
  const middle = (means.length - 1) / 2;
  return {
    pairs: n,
    ratio: Math.sqrt(at(Math.floor(middle)) * at(Math.ceil(middle))),
    from: at(left),
    to: at(means.length - 1 - left),
  };
}

const pairsMin = 6;

/** `open`: the interval holds the limit, or there are fewer than 6 pairs: more would have to tell. */
export type Verdict = "met" | "missed" | "open";

/** Met only when all of the interval is. */
export function verdictOf({ pairs, from, to }: Estimate, atLeast: number): Verdict {
  if (pairs < pairsMin) return "open";
  if (from >= atLeast) return "met";
  return to < atLeast ? "missed" : "open";
}
