/** Those who wait for a value, first come first served. */
export class WaitList<Value> {
  readonly #waiting = new Set<(value: Value) => void>();

  /** `undefined`: `signal` aborted first. */
  wait(signal: AbortSignal): Promise<Value | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const give = (value: Value) => {
        signal.removeEventListener("abort", giveUp);
        resolve(value);
      };
      const giveUp = () => {
        this.#waiting.delete(give);
        resolve(undefined);
      };
      this.#waiting.add(give);
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  giveToFirst(value: Value): "given" | "nobodyWaits" {
    const [first] = this.#waiting;
    if (first === undefined) return "nobodyWaits";
    this.#waiting.delete(first);
    first(value);
    return "given";
  }

  giveToAll(value: Value): void {
    while (this.giveToFirst(value) === "given");
  }
}
