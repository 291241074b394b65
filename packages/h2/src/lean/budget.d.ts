/** So many at once, so many a second in the long run. */
export declare class Budget {
  #private;
  constructor(burst: number, perSecond: number);
  spend(): "ok" | "exceeded";
  /** Gives one back: what was spent led to something. */
  earn(): void;
}
