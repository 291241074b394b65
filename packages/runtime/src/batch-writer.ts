import type { Duplex } from "node:stream";
import { releasedMemory } from "./released-memory.ts";
import { returnSlab, slabBytes, takeSlab } from "./slabs.ts";

export interface BatchWriterOptions {
  /** Longer pieces go out by reference. At most {@link reservedBytesMax}. */
  readonly copiedBytesMax: number;
  /** Called after every batch. */
  onFlushed?(): void;
}

/** What {@link BatchWriter.reserve} gives at once. */
export const reservedBytesMax = 32 * 1024;

/**
 * What a connection sends in one turn of the event loop, in one write: many system calls and many small buffers are
 * what a proxy's time goes to. Pieces are put into slabs, which are used again when the socket has it all; only very
 * long ones are referred to. Subclasses know the frames.
 */
export class BatchWriter {
  /** The current slab; {@link reserve} says where to write. */
  protected slab: Buffer = takeSlab();
  readonly #socket: Duplex;
  readonly #copiedBytesMax: number;
  readonly #onFlushed: (() => void) | undefined;
  /** Slabs that are full, and that the socket may not have written. */
  #full: Buffer[] = [];
  /** The part of the slab that is in this turn's batch and not in `#parts` yet: from `#start` to `#at`. */
  #start = 0;
  #at = 0;
  #parts: Uint8Array[] = [];
  #scheduled = false;
  #bytes = 0;
  #takenBytes = 0;
  /** The socket has more than it should; whoever clears this listens to its 'drain'. */
  isBacklogged = false;

  constructor(socket: Duplex, options: BatchWriterOptions) {
    this.#socket = socket;
    this.#copiedBytesMax = options.copiedBytesMax;
    this.#onFlushed = options.onFlushed;
  }

  /** Bytes in this turn's batch so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes that were ever put into a batch. */
  protected get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Of them, those that nobody reads here any more: the operating system has them. 0 once the socket is gone. */
  protected get writtenBytes(): number {
    const socket = this.#socket;
    return socket.writable ? this.#takenBytes - this.#bytes - socket.writableLength : 0;
  }

  /** The position of `bytes` new bytes in the slab, which the caller fills at once; at most {@link reservedBytesMax}. */
  protected reserve(bytes: number): number {
    if (this.#bytes === 0 && this.#socket.writableLength === 0) this.#at = this.#start = this.allWritten(this.#at);
    if (slabBytes - this.#at < bytes) {
      this.#closePart();
      this.slabFull(this.slab);
      this.slab = takeSlab();
      this.#start = 0;
      this.#at = 0;
    }
    const at = this.#at;
    this.#at = at + bytes;
    this.#bytes += bytes;
    this.#takenBytes += bytes;
    if (!this.#scheduled) this.#schedule();
    return at;
  }

  /** The socket has all of `slab` up to `at`, and of those before it. Returns from where on it may be written to. */
  protected allWritten(_at: number): number {
    // A socket that is gone may have dropped what it had, and a write of it may still run.
    if (this.#full.length > 0 && this.#socket.writable) for (const slab of this.#full.splice(0)) returnSlab(slab);
    releasedMemory.onReleased?.(this.slab);
    return 0;
  }

  /** The slab is given up for another, with parts of it in this turn's batch. */
  protected slabFull(slab: Buffer): void {
    this.#full.push(slab);
  }

  /** Appends bytes. `referred`: they must not change before they are sent. */
  append(bytes: Uint8Array): "copied" | "referred" {
    const { length } = bytes;
    if (length > this.#copiedBytesMax) {
      this.#closePart();
      this.#parts.push(bytes);
      this.#bytes += length;
      this.#takenBytes += length;
      if (!this.#scheduled) this.#schedule();
      return "referred";
    }
    const at = this.reserve(length);
    this.slab.set(bytes, at);
    return "copied";
  }

  /** Sends the batch now. */
  readonly flush = (): void => {
    this.#scheduled = false;
    const socket = this.#socket;
    if (this.#bytes === 0) return;
    this.#bytes = 0;
    if (!socket.writable) {
      this.#parts = [];
      this.#start = this.#at;
      return;
    }
    let taken = true;
    if (this.#parts.length === 0) {
      taken = socket.write(this.slab.subarray(this.#start, this.#at));
      this.#start = this.#at;
    } else {
      this.#closePart();
      const parts = this.#parts;
      this.#parts = [];
      socket.cork();
      for (const part of parts) taken = socket.write(part);
      socket.uncork();
    }
    if (!taken) this.isBacklogged = true;
    this.#onFlushed?.();
  };

  #closePart(): void {
    if (this.#at > this.#start) this.#parts.push(this.slab.subarray(this.#start, this.#at));
    this.#start = this.#at;
  }

  #schedule(): void {
    this.#scheduled = true;
    setImmediate(this.flush);
  }
}
