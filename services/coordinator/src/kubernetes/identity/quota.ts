export interface QuotaLimits {
  readonly perPodMax: number;
  readonly windowMs: number;
  readonly podsMax: number;
}

interface Window {
  readonly beganAtMs: number;
  taken: number;
}

/** Counts what each pod has had, so that one that is broken or taken over cannot keep the issuer busy. */
export class PodQuota {
  readonly #limits: QuotaLimits;
  /** The oldest window first. */
  readonly #windows = new Map<string, Window>();

  constructor(limits: QuotaLimits) {
    this.#limits = limits;
  }

  /** 0: it has one more. Else how long it has to wait. */
  take(podUid: string, nowMs: number): number {
    const { perPodMax, windowMs, podsMax } = this.#limits;
    const window = this.#windows.get(podUid);
    if (window !== undefined && nowMs < window.beganAtMs + windowMs) {
      if (window.taken >= perPodMax) return window.beganAtMs + windowMs - nowMs;
      window.taken += 1;
      return 0;
    }
    this.#windows.delete(podUid);
    for (const [oldest] of this.#windows) {
      if (this.#windows.size < podsMax) break;
      this.#windows.delete(oldest);
    }
    this.#windows.set(podUid, { beganAtMs: nowMs, taken: 1 });
    return 0;
  }
}
