import { backOff } from "./back-off.ts";

export interface QueueOptions {
  /** Works on one key. What it throws is told to `onFailure`, and the key comes again later and later. */
  readonly work: (key: string) => Promise<QueueAnswer>;
  readonly onFailure: (key: string, error: unknown, retryMs: number) => void;
  readonly workers: number;
  readonly backOffMsMin: number;
  readonly backOffMsMax: number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** `again`: the key comes back by itself after so long, or earlier when it is added. */
export type QueueAnswer = { readonly outcome: "done" } | { readonly outcome: "again"; readonly afterMs: number };

interface Item {
  failures: number;
  /** Added while it was worked on: it is worked on once more. */
  dirty: boolean;
  stage: "waiting" | "queued" | "working";
  timer: NodeJS.Timeout | undefined;
}

/** Keys to work on: each at most once at a time, however often it is added; failures of one do not hold up another. */
export class WorkQueue {
  readonly #options: QueueOptions;
  readonly #items = new Map<string, Item>();
  readonly #ready: string[] = [];
  readonly #working = new Set<Promise<void>>();
  #stopped = true;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  get depth(): number {
    return this.#items.size;
  }

  start(): void {
    this.#stopped = false;
  }

  /** As soon as a worker is free. A planned return is cut short by it, the wait after a failure is not. */
  add(key: string): void {
    if (this.#stopped) return;
    const item = this.#items.get(key);
    if (item === undefined) {
      this.#items.set(key, { failures: 0, dirty: false, stage: "queued", timer: undefined });
      this.#enqueue(key);
      return;
    }
    if (item.stage === "working") item.dirty = true;
    if (item.stage !== "waiting" || item.failures > 0) return;
    clearTimeout(item.timer);
    item.stage = "queued";
    this.#enqueue(key);
  }

  /** Forgets what waits, and resolves when nothing is worked on any more. It may be started again. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { timer } of this.#items.values()) clearTimeout(timer);
    this.#items.clear();
    this.#ready.length = 0;
    await Promise.all(this.#working);
  }

  #enqueue(key: string): void {
    this.#ready.push(key);
    this.#pump();
  }

  #pump(): void {
    while (!this.#stopped && this.#working.size < this.#options.workers) {
      const key = this.#ready.shift();
      if (key === undefined) return;
      const item = this.#items.get(key);
      if (item === undefined) continue;
      item.stage = "working";
      item.dirty = false;
      const pass = this.#pass(key, item).finally(() => {
        this.#working.delete(pass);
        this.#pump();
      });
      this.#working.add(pass);
    }
  }

  async #pass(key: string, item: Item): Promise<void> {
    const { work, onFailure, backOffMsMin, backOffMsMax, random } = this.#options;
    let afterMs: number | undefined;
    try {
      const answer = await work(key);
      item.failures = 0;
      if (answer.outcome === "again") afterMs = answer.afterMs;
    } catch (error) {
      item.failures += 1;
      afterMs = backOff(item.failures, backOffMsMin, backOffMsMax, random());
      onFailure(key, error, afterMs);
    }
    if (this.#items.get(key) !== item) return;
    if (item.dirty && item.failures === 0) afterMs = 0;
    if (afterMs === undefined) {
      this.#items.delete(key);
      return;
    }
    item.stage = "waiting";
    item.timer = setTimeout(() => {
      item.stage = "queued";
      this.#enqueue(key);
    }, afterMs);
  }
}
