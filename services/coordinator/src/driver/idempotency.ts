import type { StartOutcome } from "../snapshots.ts";

/** Keys remembered, so that a repeat finds its snapshot even when no new one would be let in. */
const keysMax = 1_000;

/** Which request with an idempotency key has led to which snapshot; beyond what is remembered, the store knows it. */
export class IdempotencyKeys {
  readonly #ids = new Map<string, string>();
  readonly #starts = new Map<string, Promise<StartOutcome>>();

  /** Runs `start`, or waits for the one with the same key that runs already. The empty key is no key. */
  async once(key: string, start: () => Promise<StartOutcome>): Promise<StartOutcome> {
    if (key === "") return await start();
    const running = this.#starts.get(key);
    if (running !== undefined) {
      const outcome = await running;
      return outcome.outcome === "accepted" ? { outcome: "existing", snapshot: outcome.snapshot } : outcome;
    }
    const started = start().finally(() => this.#starts.delete(key));
    this.#starts.set(key, started);
    return await started;
  }

  find(key: string): string | undefined {
    return this.#ids.get(key);
  }

  remember(key: string, id: string): void {
    if (key === "") return;
    this.#ids.set(key, id);
    for (const oldest of this.#ids.keys()) {
      if (this.#ids.size <= keysMax) return;
      this.#ids.delete(oldest);
    }
  }
}
