import { ownBytes } from "@cutline/runtime";

/** What a stream has to send and may not send yet. */
export class UnsentPieces {
  #pieces: Uint8Array[] = [];
  /** Octets of the first that have been sent. */
  #offset = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  append(bytes: Uint8Array): void {
    // What was read into shared memory is gone with the next read.
    this.#pieces.push(ownBytes(bytes));
    this.#bytes += bytes.length;
  }

  /** Octets of the first that are left; 0: there is none. */
  get firstBytes(): number {
    const first = this.#pieces[0];
    return first === undefined ? 0 : first.length - this.#offset;
  }

  /** Takes so many octets, at most `firstBytes`. */
  take(bytes: number): Uint8Array {
    const first = this.#pieces[0] as Uint8Array;
    const taken = first.subarray(this.#offset, this.#offset + bytes);
    this.#bytes -= bytes;
    this.#offset += bytes;
    if (this.#offset === first.length) {
      this.#pieces.shift();
      this.#offset = 0;
    }
    return taken;
  }

  clear(): void {
    this.#pieces = [];
    this.#offset = 0;
    this.#bytes = 0;
  }
}
