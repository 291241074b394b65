/** A connection, as far as it holds bytes for others. */
export interface Holder {
  readonly heldBytes: number;
  /** Gives up what it holds: all of it, or at least `bytes`. */
  giveUp(bytes: number): void;
}

const bytesMaxDefault = 256 * 1024 * 1024;

/**
 * The bytes that HTTP/2 connections hold together: what peers have sent and nobody has read, parts of frames and header
 * blocks, and what peers do not take. Each connection has limits of its own; this one is for many at a time. Beyond it
 * the one that holds the most gives up, until there is room: a connection that was accepted is closed, and of one that
 * was opened, on which many callers' calls stand, the largest calls are reset; both with ENHANCE_YOUR_CALM.
 */
export class HeldBytes {
  readonly bytesMax: number;
  bytes = 0;
  /** Connections closed, and connections on which calls were reset. */
  givenUp = 0;
  readonly #holders = new Set<Holder>();
  #isDue = false;

  /** Default 256 MiB. */
  constructor(bytesMax: number = bytesMaxDefault) {
    this.bytesMax = bytesMax;
  }

  join(holder: Holder): void {
    this.#holders.add(holder);
  }

  leave(holder: Holder): void {
    this.#holders.delete(holder);
  }

  /** `bytes` may be negative. Nothing is given up before the caller's turn is over. */
  add(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes <= this.bytesMax || this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => this.#makeRoom());
  }

  #makeRoom(): void {
    this.#isDue = false;
    while (this.bytes > this.bytesMax) {
      let biggest: Holder | undefined;
      let mostBytes = 0;
      for (const holder of this.#holders) {
        const { heldBytes } = holder;
        if (heldBytes <= mostBytes) continue;
        biggest = holder;
        mostBytes = heldBytes;
      }
      if (biggest === undefined) return;
      const before = this.bytes;
      this.givenUp += 1;
      biggest.giveUp(before - this.bytesMax);
      // What is being closed already has nothing left to give.
      if (this.bytes >= before) return;
    }
  }
}
