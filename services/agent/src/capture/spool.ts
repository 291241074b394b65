import { createHash, type Hash } from "node:crypto";
import { tmpdir } from "node:os";
import { describeError } from "@cutline/runtime";
import { CaptureError } from "./errors.ts";
import { TemporaryFile } from "./temporary-file.ts";

/** Largest chunk of `Spool.stream()`, in bytes; also the largest block that is kept in memory. */
export const spoolChunkBytesMax = 256 * 1024;

/** The first block in memory, in bytes; blocks double from here, so that small states take little. */
const firstBlockBytes = 4 * 1024;

/** What may stand around a chunk in its memory when it is kept as it is: the frame of a message. */
const heldSlackBytesMax = 64;

export interface SpoolOptions {
  /** Kept in memory, in bytes, 0 or more; what is over goes to a temporary file. */
  readonly memoryBytesMax: number;
  /** Largest state, in bytes. */
  readonly bytesMax: number;
  /** Where the temporary file is made. Default: the system's folder for temporary files. */
  readonly folder?: string;
  /** `given`: whoever writes knows the hash, and gives it at the end; nothing is spent on making it. Default `made`. */
  readonly hash?: "made" | "given";
}

export function createSpool(options: SpoolOptions): Spool {
  return new Spool(options);
}

/**
 * Holds one local state from its capture until it is uploaded: write, end, then stream as often as needed, then
 * discard. Whoever has the spool must discard it; nothing else gives its file back.
 *
 * The first error of a write is final: the bytes are given back at once and every later call meets the same error.
 */
export class Spool {
  readonly #memoryBytesMax: number;
  readonly #bytesMax: number;
  readonly #folder: string;
  readonly #hash: Hash | undefined;
  #blocks: Buffer[] = [];
  /** The part of the last block that is not filled yet. */
  #room: Buffer = Buffer.alloc(0);
  /** In the blocks. */
  #filledBytes = 0;
  #memoryBytes = 0;
  #file: TemporaryFile | undefined;
  #sizeBytes = 0;
  #sha256: string | undefined;
  #appending: Promise<void> | undefined;
  #failure: CaptureError | undefined;
  #released: Promise<void> | undefined;

  constructor(options: SpoolOptions) {
    this.#memoryBytesMax = options.memoryBytesMax;
    this.#bytesMax = options.bytesMax;
    this.#folder = options.folder ?? tmpdir();
    this.#hash = options.hash === "given" ? undefined : createHash("sha256");
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Held in memory, in bytes; never more than `memoryBytesMax`. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  /** Lower-case hex, of everything written, or what was given as that. Throws before `end()`. */
  get sha256(): string {
    if (this.#sha256 === undefined) throw new Error("the hash of a spool is known after end() only");
    return this.#sha256;
  }

  /**
   * The chunk is the caller's again when this resolves: it is copied to memory or written to the file before. One write
   * at a time. Rejects with `StateTooLarge` (nothing of the chunk is taken), `StateUnreadable` (the temporary file
   * failed, for example because the disk is full) or, when it was discarded meanwhile, `CaptureAborted`.
   */
  write(chunk: Uint8Array): Promise<void> {
    return this.#add(chunk, "copied");
  }

  /** The same, but the chunk is the spool's from now on: nobody may change its bytes any more. Saves the copy. */
  take(chunk: Uint8Array): Promise<void> {
    return this.#add(chunk, "kept");
  }

  async #add(chunk: Uint8Array, how: "copied" | "kept"): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#sha256 !== undefined) throw new Error("a spool takes no bytes after end()");
    if (this.#appending !== undefined) throw new Error("a spool takes one write at a time");
    if (this.#sizeBytes + chunk.length > this.#bytesMax) throw await this.#fail(this.#tooLarge(chunk.length));
    this.#hash?.update(chunk);
    const kept = how === "kept" && this.#canHold(chunk) ? this.#hold(chunk) : this.#keepInMemory(chunk);
    this.#filledBytes += kept;
    this.#sizeBytes += chunk.length;
    if (kept < chunk.length) await this.#spill(chunk.subarray(kept));
  }

  /** No bytes follow. Asking again is harmless. Rejects as `write` does. `sha256`: of a hash that is given. */
  async end(sha256?: string): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#appending !== undefined) throw new Error("a spool ends after its last write has resolved");
    this.#sha256 ??= this.#hash?.digest("hex") ?? sha256;
    if (this.#sha256 === undefined) throw new Error("a spool that makes no hash is given one at its end");
  }

  /**
   * The whole state from its beginning, in chunks of 1 to `spoolChunkBytesMax` bytes, which must not be changed. Any
   * number of times, also at once. Fails with `CaptureAborted` once the spool is discarded, with `StateUnreadable` when
   * the temporary file cannot be read. Throws before `end()`.
   */
  stream(): AsyncIterable<Buffer> {
    if (this.#failure === undefined && this.#sha256 === undefined) {
      throw new Error("a spool can be read after end() only");
    }
    return { [Symbol.asyncIterator]: () => this.#chunks() };
  }

  /** Gives memory and file back. Never rejects; asking again is harmless. */
  discard(): Promise<void> {
    this.#failure ??= new CaptureError(
      "CaptureAborted",
      `a local state of ${this.#sizeBytes} bytes was discarded while it was in use`,
    );
    return this.#release();
  }

  #tooLarge(chunkBytes: number): CaptureError {
    return new CaptureError(
      "StateTooLarge",
      `the local state has ${this.#sizeBytes + chunkBytes} bytes so far and the limit is ${this.#bytesMax}: ` +
        "make the state smaller or raise CUTLINE_STATE_BYTES_MAX",
    );
  }

  /** Only what is nearly all of its memory: a small view would keep alive what is not counted here. */
  #canHold(chunk: Uint8Array): boolean {
    const heldBytes = chunk.buffer.byteLength;
    const isMostOfIt = heldBytes <= chunk.length + heldSlackBytesMax;
    const isAllInMemory = this.#filledBytes === this.#sizeBytes;
    const isWithin = this.#memoryBytes + heldBytes <= this.#memoryBytesMax;
    return isMostOfIt && isAllInMemory && isWithin && chunk.length > 0 && chunk.length <= spoolChunkBytesMax;
  }

  #hold(chunk: Uint8Array): number {
    this.#closeBlock();
    this.#blocks.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    this.#memoryBytes += chunk.buffer.byteLength;
    return chunk.length;
  }

  /** The last block ends where it is filled to. */
  #closeBlock(): void {
    const last = this.#blocks.pop();
    if (last === undefined) return;
    this.#blocks.push(last.subarray(0, last.length - this.#room.length));
    this.#room = Buffer.alloc(0);
  }

  #keepInMemory(chunk: Uint8Array): number {
    let kept = 0;
    while (kept < chunk.length) {
      if (this.#room.length === 0 && !this.#addBlock(chunk.length - kept)) return kept;
      const part = chunk.subarray(kept, kept + this.#room.length);
      this.#room.set(part);
      this.#room = this.#room.subarray(part.length);
      kept += part.length;
    }
    return kept;
  }

  #addBlock(wantedBytes: number): boolean {
    const wanted = Math.max(wantedBytes, this.#memoryBytes, firstBlockBytes);
    const bytes = Math.min(wanted, spoolChunkBytesMax, this.#memoryBytesMax - this.#memoryBytes);
    if (bytes <= 0) return false;
    // Not from Node's pool: a pooled slice would keep memory alive that is not counted here.
    this.#room = Buffer.allocUnsafeSlow(bytes);
    this.#blocks.push(this.#room);
    this.#memoryBytes += bytes;
    return true;
  }

  async #spill(chunk: Uint8Array): Promise<void> {
    this.#appending = this.#append(chunk);
    try {
      await this.#appending;
    } catch (error) {
      throw await this.#fail(this.#unusable("written", error));
    } finally {
      this.#appending = undefined;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #append(chunk: Uint8Array): Promise<void> {
    this.#file ??= await TemporaryFile.create(this.#folder);
    await this.#file.append(chunk);
  }

  async *#chunks(): AsyncGenerator<Buffer, void, void> {
    const filled = this.#filledBytes;
    let position = 0;
    for (let index = 0; position < filled; index += 1) {
      const chunk = this.#block(index).subarray(0, filled - position);
      position += chunk.length;
      yield chunk;
    }
    while (position < this.#sizeBytes) {
      const chunk = await this.#readFile(position - filled);
      position += chunk.length;
      yield chunk;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #block(index: number): Buffer {
    if (this.#failure !== undefined) throw this.#failure;
    const block = this.#blocks[index];
    if (block === undefined) throw new Error("a spool has lost a block that it counted");
    return block;
  }

  async #readFile(position: number): Promise<Buffer> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      if (this.#file === undefined) throw new Error("a spool has lost the file that it counted");
      const chunk = await this.#file.read(position, spoolChunkBytesMax);
      if (this.#failure === undefined) return chunk;
    } catch (error) {
      this.#failure ??= this.#unusable("read", error);
    }
    throw this.#failure;
  }

  #unusable(action: "read" | "written", error: unknown): CaptureError {
    return new CaptureError(
      "StateUnreadable",
      `the local state could not be ${action} (${this.#sizeBytes} bytes so far) in a temporary file in ` +
        `${this.#folder}: ${describeError(error)}; free or mount space there, or raise CUTLINE_STATE_MEMORY_BYTES_MAX`,
      { cause: error },
    );
  }

  async #fail(failure: CaptureError): Promise<CaptureError> {
    this.#failure ??= failure;
    await this.#release();
    return this.#failure;
  }

  #release(): Promise<void> {
    this.#blocks = [];
    this.#room = Buffer.alloc(0);
    this.#memoryBytes = 0;
    this.#released ??= this.#closeFile();
    return this.#released;
  }

  async #closeFile(): Promise<void> {
    try {
      await this.#appending;
    } catch {
      // The write that failed tells its caller; here only its end matters.
    }
    try {
      await this.#file?.close();
    } catch {
      // The bytes are not wanted any more, and whoever discards can do nothing about a file that does not close.
    }
  }
}
