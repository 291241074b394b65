import type { HeldBytes } from "../held-bytes.ts";

/** What one connection holds, as its share of what all connections may. */
export class HeldShare {
  readonly #all: HeldBytes;
  #unreadBytes = 0;
  #unsentBytes = 0;
  #partialBytes = 0;

  constructor(all: HeldBytes) {
    this.#all = all;
  }

  get bytes(): number {
    return this.#unreadBytes + this.#unsentBytes + this.#partialBytes;
  }

  /** What streams hold whose owners do not read. */
  get unreadBytes(): number {
    return this.#unreadBytes;
  }

  addUnread(bytes: number): void {
    this.#unreadBytes += bytes;
    this.#all.add(bytes);
  }

  /** What streams hold because it may not be sent yet. */
  addUnsent(bytes: number): void {
    this.#unsentBytes += bytes;
    this.#all.add(bytes);
  }

  /** What the reader holds now of frames and header blocks that have not all come. */
  setPartial(bytes: number): void {
    if (bytes === this.#partialBytes) return;
    this.#all.add(bytes - this.#partialBytes);
    this.#partialBytes = bytes;
  }
}
