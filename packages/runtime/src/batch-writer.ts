import type { Duplex } from "node:stream";

const slabBytes = 64 * 1024;

export interface BatchWriterOptions {
  /**
   * `reused`: once the socket has everything, the slab is written to from its beginning, and stays in the processor's
   * cache. `kept`: it is never written to again where it has been, because somebody refers to what was sent; a full one
   * is given up.
   */
  readonly slabs: "reused" | "kept";
  /** Longer pieces go out by reference. At most 16 KiB. */
  readonly copiedBytesMax: number;
  /** Called after every batch. */
  onFlushed?(): void;
}

/**
 * What a connection sends in one turn of the event loop, in one write: many system calls and many small buffers are
 * what a proxy's time goes to. Small pieces are put into a slab, large ones are referred to. Subclasses know the
 * frames.
 */
export class BatchWriter {
  /** The current slab; {@link reserve} says where to write. */
  protected slab: Buffer = Buffer.allocUnsafeSlow(slabBytes);
  readonly #socket: Duplex;
  readonly #isReused: boolean;
  readonly #copiedBytesMax: number;
  readonly #onFlushed: (() => void) | undefined;
  /** The part of the slab that is in this turn's batch and not in `#parts` yet: from `#start` to `#at`. */
  #start = 0;
  #at = 0;
  #parts: Uint8Array[] = [];
  #scheduled = false;
  #bytes = 0;
  /** The socket has more than it should; whoever clears this listens to its 'drain'. */
  isBacklogged = false;

  constructor(socket: Duplex, options: BatchWriterOptions) {
    this.#socket = socket;
    this.#isReused = options.slabs === "reused";
    this.#copiedBytesMax = options.copiedBytesMax;
    this.#onFlushed = options.onFlushed;
  }

  /** Bytes in this turn's batch so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The position of `bytes` new bytes in the slab, which the caller fills at once. `bytes` is at most 16 KiB. */
  protected reserve(bytes: number): number {
    if (this.#bytes === 0 && this.#isReused && this.#socket.writableLength === 0) {
      this.#start = 0;
      this.#at = 0;
    } else if (slabBytes - this.#at < bytes) {
      this.#closePart();
      this.slab = Buffer.allocUnsafeSlow(slabBytes);
      this.#start = 0;
      this.#at = 0;
    }
    const at = this.#at;
    this.#at = at + bytes;
    this.#bytes += bytes;
    if (!this.#scheduled) this.#schedule();
    return at;
  }

  /** Appends bytes, which must not change before they are sent. `copied`: they may. */
  append(bytes: Uint8Array): "copied" | "referred" {
    const { length } = bytes;
    // A slab is not given up for the sake of a long piece.
    if (length > this.#copiedBytesMax || (length > slabBytes - this.#at && length > slabRestBytes)) {
      this.#closePart();
      this.#parts.push(bytes);
      this.#bytes += length;
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

/** What may be left over of a slab. */
const slabRestBytes = 1024;
