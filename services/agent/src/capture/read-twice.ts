import { createSpool, type Spool, type SpoolOptions } from "./spool.ts";
import type { StateSource } from "./state-source.ts";

/** The receiver has the spool and must discard it. */
export type TwoReadings =
  /** Both readings gave the same bytes under the same content type. */
  | { readonly outcome: "same"; readonly spool: Spool; readonly contentType: string }
  /** The state moved between the readings; this is the second one, complete, for a capture that is not exact. */
  | { readonly outcome: "different"; readonly spool: Spool; readonly contentType: string };

/**
 * Reads the state twice. The second reading is compared with the first byte by byte and kept only from where they part,
 * so two readings that are the same take the room of one. Rejects with what `StateSource.read` and `Spool.write` reject
 * with; nothing is left behind then.
 */
export async function readTwice(source: StateSource, options: SpoolOptions, signal: AbortSignal): Promise<TwoReadings> {
  const first = createSpool(options);
  let second: SecondReading | undefined;
  try {
    const firstType = await readInto(source, first, signal);
    await first.end();
    second = new SecondReading(first, options);
    const contentType = await readInto(source, second, signal);
    const spool = await second.finish();
    return { outcome: spool === first && contentType === firstType ? "same" : "different", spool, contentType };
  } catch (error) {
    // Not waited for: a disk that hangs must not hold the application's traffic any longer.
    void first.discard();
    void second?.discard();
    throw error;
  }
}

interface Sink {
  write(chunk: Uint8Array): Promise<void>;
}

async function readInto(source: StateSource, sink: Sink, signal: AbortSignal): Promise<string> {
  let contentType = "";
  await source.read(
    {
      contentType: (value) => {
        contentType = value;
      },
      write: (chunk) => sink.write(chunk),
    },
    signal,
  );
  return contentType;
}

class SecondReading {
  readonly #first: Spool;
  readonly #options: SpoolOptions;
  readonly #expected: AsyncIterator<Buffer>;
  /** Of the first reading, what was taken from the iterator and not compared yet. */
  #ahead: Buffer = Buffer.alloc(0);
  #equalBytes = 0;
  #own: Spool | undefined;

  constructor(first: Spool, options: SpoolOptions) {
    this.#first = first;
    this.#options = options;
    this.#expected = first.stream()[Symbol.asyncIterator]();
  }

  async write(chunk: Uint8Array): Promise<void> {
    const equal = this.#own === undefined ? await this.#compare(chunk) : 0;
    if (equal === chunk.length) return;
    const own = this.#own ?? (await this.#part());
    await own.write(chunk.subarray(equal));
  }

  /** The first spool where the readings are the same, else one of its own; the other is discarded. */
  async finish(): Promise<Spool> {
    if (this.#own === undefined && this.#equalBytes === this.#first.sizeBytes) return this.#first;
    const own = this.#own ?? (await this.#part());
    await own.end();
    return own;
  }

  async discard(): Promise<void> {
    await this.#own?.discard();
  }

  /** How many bytes at the beginning of the chunk are the same as in the first reading. */
  async #compare(chunk: Uint8Array): Promise<number> {
    let equal = 0;
    while (equal < chunk.length) {
      if (this.#ahead.length === 0) {
        const next = await this.#expected.next();
        if (next.done === true) return equal;
        this.#ahead = next.value;
      }
      const length = Math.min(this.#ahead.length, chunk.length - equal);
      if (this.#ahead.compare(chunk, equal, equal + length, 0, length) !== 0) return equal;
      this.#ahead = this.#ahead.subarray(length);
      this.#equalBytes += length;
      equal += length;
    }
    return equal;
  }

  /** From here on the second reading has a spool of its own, which begins with what was the same. */
  async #part(): Promise<Spool> {
    // Both exist while the beginning is copied; together they keep to the limit of memory.
    const memoryBytesMax = Math.max(0, this.#options.memoryBytesMax - this.#first.memoryBytes);
    const own = createSpool({ ...this.#options, memoryBytesMax });
    // Known at once, so that discard() reaches it while it is filled.
    this.#own = own;
    for await (const chunk of this.#first.stream()) {
      const missing = this.#equalBytes - own.sizeBytes;
      if (missing === 0) break;
      await own.write(chunk.subarray(0, missing));
    }
    await this.#first.discard();
    return own;
  }
}
