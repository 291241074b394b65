import { randomUUID } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";

/**
 * Bytes on disk that belong to this program alone: mode 0600, a name nobody can guess, and, where the system allows it,
 * no name at all once it is open, so that a crash leaves nothing behind. Methods reject with the file system's errors.
 */
export class TemporaryFile {
  readonly #handle: FileHandle;
  readonly #pathLeft: string | undefined;
  #sizeBytes = 0;

  private constructor(handle: FileHandle, pathLeft: string | undefined) {
    this.#handle = handle;
    this.#pathLeft = pathLeft;
  }

  static async create(folder: string): Promise<TemporaryFile> {
    const path = join(folder, `cutline-${randomUUID()}`);
    const handle = await open(path, "wx+", 0o600);
    try {
      await unlink(path);
    } catch {
      // Some systems keep the name of an open file; close() removes it there.
      return new TemporaryFile(handle, path);
    }
    return new TemporaryFile(handle, undefined);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The chunk belongs to the caller again when this resolves. One call at a time. */
  async append(chunk: Uint8Array): Promise<void> {
    let written = 0;
    while (written < chunk.length) {
      const { bytesWritten } = await this.#handle.write(chunk, written, chunk.length - written, this.#sizeBytes);
      if (bytesWritten === 0) throw new Error("the file system took no more bytes");
      written += bytesWritten;
      this.#sizeBytes += bytesWritten;
    }
  }

  /** At least one byte and at most `lengthMax` from `position`, which must be below `sizeBytes`. */
  async read(position: number, lengthMax: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(Math.min(lengthMax, this.#sizeBytes - position));
    const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) throw new Error(`the file ends at byte ${position} instead of ${this.#sizeBytes}`);
    return buffer.subarray(0, bytesRead);
  }

  /** Waits for reads and writes that are running. */
  async close(): Promise<void> {
    await this.#handle.close();
    if (this.#pathLeft !== undefined) await unlink(this.#pathLeft);
  }
}
