import { setTimeout as delay } from "node:timers/promises";

/** Pauses that double, each shortened at random by up to half, so that agents do not come back all at once. */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  #nextMs: number;

  constructor(limits: { readonly retryMinMs: number; readonly retryMaxMs: number }) {
    this.#minMs = limits.retryMinMs;
    this.#maxMs = limits.retryMaxMs;
    this.#nextMs = limits.retryMinMs;
  }

  reset(): void {
    this.#nextMs = this.#minMs;
  }

  /** The next pause is the longest. */
  slow(): void {
    this.#nextMs = this.#maxMs;
  }

  /** Resolves after the next pause, or as soon as `signal` aborts. */
  async pause(signal: AbortSignal): Promise<void> {
    const pauseMs = this.#nextMs * (0.5 + Math.random() / 2);
    this.#nextMs = Math.min(this.#nextMs * 2, this.#maxMs);
    // It rejects only because `signal` aborted, which the caller looks at.
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}
