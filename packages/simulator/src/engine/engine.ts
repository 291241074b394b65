/** Something that happens later; `cancel` undoes it while it has not happened. */
export class Timer {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;

  constructor(atMs: number, order: number, run: () => void) {
    this.atMs = atMs;
    this.order = order;
    this.run = run;
  }

  cancel(): void {
    this.run = undefined;
  }
}

/** Virtual time: runs what is due in the order of its time, and within one instant in the order it was asked for. */
export class Engine {
  #nowMs = 0;
  #order = 0;
  #ran = 0;
  readonly #heap: Timer[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events run so far. */
  get ran(): number {
    return this.#ran;
  }

  after(delayMs: number, run: () => void): Timer {
    this.#order += 1;
    const timer = new Timer(this.#nowMs + Math.max(0, delayMs), this.#order, run);
    this.#push(timer);
    return timer;
  }

  /** Runs everything due until then, or until `over` says so or `eventsMax` events have run. */
  run(untilMs: number, eventsMax: number, over: () => boolean): "reached" | "over" | "exhausted" {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return "reached";
      }
      this.#pop();
      const { run } = next;
      if (run === undefined) continue;
      next.run = undefined;
      this.#nowMs = next.atMs;
      this.#ran += 1;
      run();
      if (over()) return "over";
      if (this.#ran >= eventsMax) return "exhausted";
    }
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Timer;
      if (isBefore(above, timer)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Timer;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as Timer)) child += 1;
      const below = heap[child] as Timer;
      if (isBefore(last, below)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
