/**
 * The read-write lock between sections (readers) and captures (writers).
 *
 * - Any number of sections hold it at once. While a capture is pending or runs, new ones wait, in order.
 * - A capture runs when no section holds the lock, in a task of its own: `defer` is `setImmediate`, so every promise
 *   reaction of the code that ran before is done, and nothing half-run is seen.
 * - Sections that waited for one capture go before the next capture, so captures in a row cannot starve them.
 *
 * How long sections wait is bounded by the deadline of the capture; how many wait, by the calls the server has open.
 */
export class SectionLock<Holder> {
  readonly #defer: (run: () => void) => void;
  readonly #holders = new Set<Holder>();
  #waiting: { readonly holder: Holder; readonly granted: () => void }[] = [];
  readonly #captures: (() => void)[] = [];
  #capturing = false;
  #deferred = false;

  constructor(defer: (run: () => void) => void = setImmediate) {
    this.#defer = defer;
  }

  /** Calls `granted` at once, or in a microtask of its own when the capture that is pending has passed. */
  enter(holder: Holder, granted: () => void): void {
    if (this.#captures.length > 0 || this.#capturing) {
      this.#waiting.push({ holder, granted });
      return;
    }
    this.#holders.add(holder);
    granted();
  }

  /** Another share for work that goes on inside a section: never waits, because `within` holds the lock. */
  join(holder: Holder, within: Holder): void {
    if (!this.#holders.has(within)) throw new Error("a section can only be joined while it holds the lock");
    this.#holders.add(holder);
  }

  leave(holder: Holder): void {
    this.#holders.delete(holder);
    this.#schedule();
  }

  /** Queues a capture; the answer withdraws it, and does nothing once it has run. */
  capture(run: () => void): () => void {
    this.#captures.push(run);
    this.#schedule();
    return () => {
      const at = this.#captures.indexOf(run);
      if (at < 0) return;
      this.#captures.splice(at, 1);
      if (this.#captures.length === 0) this.#grantWaiting();
    };
  }

  holders(): Iterable<Holder> {
    return this.#holders;
  }

  #schedule(): void {
    if (this.#deferred || this.#captures.length === 0 || this.#holders.size > 0) return;
    this.#deferred = true;
    this.#defer(() => {
      this.#deferred = false;
      if (this.#holders.size === 0) this.#runNext();
    });
  }

  #runNext(): void {
    const run = this.#captures.shift();
    if (run === undefined) return;
    this.#capturing = true;
    try {
      run();
    } finally {
      this.#capturing = false;
      this.#grantWaiting();
      this.#schedule();
    }
  }

  #grantWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { holder } of waiting) this.#holders.add(holder);
    // One microtask each: what one application callback throws must not reach the others.
    for (const { granted } of waiting) queueMicrotask(granted);
  }
}
