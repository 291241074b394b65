export const accessModes = ["open", "tokens", "kubernetes"] as const;

/** The numbers that bound what is asked and remembered of callers. */
export interface AccessLimits {
  /** How long a yes of the API server holds. Default 30000 ms. */
  readonly cacheMs: number;
  /** How long a no holds. Default 5000 ms, and never longer than a yes. */
  readonly refusedCacheMs: number;
  /** Answers of each kind that are kept. Default 10000. */
  readonly cachedMax: number;
  /** Questions to the API server at a time; one more is told to come back. Default 64. */
  readonly reviewsMax: number;
  /** One question. Default 5000 ms. */
  readonly reviewTimeoutMs: number;
  /** When a caller whom nobody could judge is to come back. Default 2000 ms. */
  readonly retryMs: number;
  /** Between two looks at the file of tokens. Default 5000 ms. */
  readonly rereadMs: number;
}

export const defaultAccessLimits: AccessLimits = {
  cacheMs: 30_000,
  refusedCacheMs: 5_000,
  cachedMax: 10_000,
  reviewsMax: 64,
  reviewTimeoutMs: 5_000,
  retryMs: 2_000,
  rereadMs: 5_000,
};
