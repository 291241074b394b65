import type { Timer } from "../engine/engine.ts";
import type { LocalClock } from "../engine/local-clock.ts";

/** One life of a coordinator's program: it may stand still for a while, and it ends for ever. */
export class Host {
  readonly name: string;
  readonly #clock: LocalClock;
  #phase: "running" | "paused" | "over" = "running";
  #backlog: (() => void)[] = [];

  constructor(name: string, clock: LocalClock) {
    this.name = name;
    this.#clock = clock;
  }

  get nowMs(): number {
    return this.#clock.nowMs;
  }

  get over(): boolean {
    return this.#phase === "over";
  }

  /** Runs it now, or when the program goes on, or never. */
  run(action: () => void): void {
    if (this.#phase === "running") action();
    else if (this.#phase === "paused") this.#backlog.push(action);
  }

  after(delayMs: number, action: () => void): Timer {
    return this.#clock.after(delayMs, () => this.run(action));
  }

  /** The answer to something asked of the world outside. */
  answer<A extends unknown[]>(action: (...args: A) => void): (...args: A) => void {
    return (...args) => this.run(() => action(...args));
  }

  pause(): void {
    if (this.#phase === "running") this.#phase = "paused";
  }

  goOn(): void {
    if (this.#phase !== "paused") return;
    this.#phase = "running";
    for (const action of this.#backlog.splice(0)) this.run(action);
  }

  end(): void {
    this.#phase = "over";
    this.#backlog = [];
  }
}
