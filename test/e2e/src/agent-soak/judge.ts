/** One look at an agent. */
export interface Sample {
  readonly atSeconds: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly descriptors: number;
}

/** How far the median of the last third may lie above that of the first. */
const bounds = {
  rssBytes: { share: 0.15, more: 16 * 1024 * 1024 },
  heapBytes: { share: 0.1, more: 3 * 1024 * 1024 },
  externalBytes: { share: 0.1, more: 4 * 1024 * 1024 },
  descriptors: { share: 0, more: 16 },
} as const;

type Measure = keyof typeof bounds;

/** Fewer say nothing. */
export const samplesMin = 6;

export interface Finding {
  readonly measure: Measure;
  readonly first: number;
  readonly last: number;
  readonly allowed: number;
  readonly verdict: "flat" | "rising";
}

/** Compares the thirds of a run; before the first sample the program has warmed up. */
export function judge(samples: readonly Sample[]): Finding[] {
  const third = Math.floor(samples.length / 3);
  return (Object.keys(bounds) as Measure[]).map((measure) => {
    const values = samples.map((sample) => sample[measure]);
    const first = median(values.slice(0, third));
    const last = median(values.slice(-third));
    const { share, more } = bounds[measure];
    const allowed = first + Math.max(first * share, more);
    return { measure, first, last, allowed, verdict: last > allowed ? "rising" : "flat" };
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
