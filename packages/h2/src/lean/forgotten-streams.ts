/** Streams that we have reset and from which more may come; the oldest are forgotten for good. */
export class ForgottenStreams {
  readonly #max: number;
  readonly #ids = new Set<number>();
  /** The same in the order of their resets: a ring, once it is full. */
  readonly #order: number[] = [];
  #oldest = 0;

  constructor(max: number) {
    this.#max = max;
  }

  add(streamId: number): void {
    if (this.#ids.has(streamId)) return;
    this.#ids.add(streamId);
    if (this.#order.length < this.#max) {
      this.#order.push(streamId);
      return;
    }
    this.#ids.delete(this.#order[this.#oldest] as number);
    this.#order[this.#oldest] = streamId;
    this.#oldest = (this.#oldest + 1) % this.#max;
  }

  has(streamId: number): boolean {
    return this.#ids.has(streamId);
  }
}
