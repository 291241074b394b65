import { isShared } from "@cutline/runtime";

const joinedBytesMax = 256;

/** What a stream has received and its owner does not read yet, in memory that is little more than it is long. */
export class UnreadPieces {
  #pieces: Buffer[] = [];
  /** What the last of them is a part of, if it was brought together. */
  #joined: Buffer | undefined;

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  get bytes(): number {
    let bytes = 0;
    for (const piece of this.#pieces) bytes += piece.length;
    return bytes;
  }

  append(source: Buffer, start: number, end: number): void {
    const bytes = end - start;
    const last = this.#pieces.at(-1);
    if (last !== undefined && last.length + bytes <= joinedBytesMax) {
      // Many very small pieces are brought together, as each would cost more than it holds, and in memory of their own:
      // out of the shared pool each would keep all of the pool's slab.
      if (this.#joined === undefined || this.#joined.buffer !== last.buffer) {
        this.#joined = Buffer.allocUnsafeSlow(joinedBytesMax);
        last.copy(this.#joined);
      }
      source.copy(this.#joined, last.length, start, end);
      this.#pieces[this.#pieces.length - 1] = this.#joined.subarray(0, last.length + bytes);
      return;
    }
    let piece = source.subarray(start, end);
    // A small piece must not keep the whole of what was read with it, nor change with the next read.
    if (source.buffer.byteLength > 4 * bytes || isShared(source)) {
      piece = Buffer.allocUnsafeSlow(bytes);
      source.copy(piece, 0, start, end);
    }
    this.#pieces.push(piece);
  }

  /** Takes the first out. */
  shift(): Buffer | undefined {
    return this.#pieces.shift();
  }

  clear(): void {
    this.#pieces = [];
  }
}
