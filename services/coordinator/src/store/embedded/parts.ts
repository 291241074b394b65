import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { keyText, partName } from "../key-text.ts";
import { checkChunkSize, type PartRefusal, PartTally, partCorrupt, partMissing, partRefused } from "../part.ts";
import { type PartInfo, type PartKey, type PartWriter, StoreError } from "../port.ts";
import type { Database, Row } from "./database.ts";

/** Deleted in one transaction; with chunks of 256 KiB it holds up the program for some milliseconds. */
const deletedChunksMax = 16;
/** Given back to the disk after each of those; somewhat more than they held. */
const vacuumedPagesMax = 512;

/** What the term check says inside a transaction. */
export type Fence = (term: number) => "leading" | "fenced";

export class EmbeddedPartWriter implements PartWriter {
  readonly #database: Database;
  readonly #fence: Fence;
  readonly #term: number;
  readonly #key: PartKey;
  readonly #version: number;
  readonly #tally = new PartTally();

  private constructor(database: Database, fence: Fence, term: number, key: PartKey, version: number) {
    this.#database = database;
    this.#fence = fence;
    this.#term = term;
    this.#key = key;
    this.#version = version;
  }

  static async begin(database: Database, fence: Fence, term: number, key: PartKey): Promise<EmbeddedPartWriter> {
    const name = partName(key);
    const snapshot = keyText(key.snapshotId);
    const begun = await database.write((): number | PartRefusal => {
      if (fence(term) === "fenced") {
        return "fenced";
      }
      const document = database.get("SELECT published FROM snapshots WHERE id = ?", snapshot);
      if (document === undefined) {
        return "missing";
      }
      if (document.published === 1) {
        return "published";
      }
      database.run(
        "UPDATE parts SET stage = 'garbage' WHERE snapshot = ? AND name = ? AND stage = 'open'",
        snapshot,
        name,
      );
      const row = database.get(
        "INSERT INTO parts VALUES (NULL, ?, ?, ?, 'open', 0, 0, '', '') RETURNING version",
        snapshot,
        key.attempt,
        name,
      );
      return Number(row?.version);
    });
    if (typeof begun === "string") {
      throw partRefused(key, term, begun);
    }
    await deleteGarbage(database, database.deadlineMs());
    return new EmbeddedPartWriter(database, fence, term, key, begun);
  }

  async write(chunk: Uint8Array): Promise<void> {
    checkChunkSize(chunk);
    if (chunk.byteLength === 0) {
      return;
    }
    const sha256 = createHash("sha256").update(chunk).digest("hex");
    const refusal = await this.#database.write((): PartRefusal | undefined => {
      if (this.#fence(this.#term) === "fenced") {
        return "fenced";
      }
      const counted = this.#database.run(
        "UPDATE parts SET chunks = chunks + 1 WHERE version = ? AND stage = 'open'",
        this.#version,
      );
      if (counted === 0) {
        return "lost";
      }
      this.#database.run("INSERT INTO chunks VALUES (?, ?, ?, ?)", this.#version, this.#tally.chunks, sha256, chunk);
      return undefined;
    }, "lazy");
    if (refusal !== undefined) {
      throw partRefused(this.#key, this.#term, refusal);
    }
    this.#tally.add(chunk);
    // SQLite works on this very thread: other connections of the program get their turn between two chunks.
    await turn();
  }

  async commit(info: PartInfo): Promise<void> {
    this.#tally.check(this.#key, info);
    const name = partName(this.#key);
    const snapshot = keyText(this.#key.snapshotId);
    const refusal = await this.#database.write((): PartRefusal | undefined => {
      if (this.#fence(this.#term) === "fenced") {
        return "fenced";
      }
      const row = this.#database.get("SELECT stage, chunks FROM parts WHERE version = ?", this.#version);
      if (row?.stage === "committed") {
        return undefined;
      }
      if (row?.stage !== "open" || row.chunks !== this.#tally.chunks) {
        return "lost";
      }
      if (this.#database.get("SELECT published FROM snapshots WHERE id = ?", snapshot)?.published === 1) {
        return "published";
      }
      this.#database.run(
        "UPDATE parts SET stage = 'garbage' WHERE snapshot = ? AND name = ? AND stage = 'committed'",
        snapshot,
        name,
      );
      this.#database.run(
        "UPDATE parts SET stage = 'committed', size_bytes = ?, sha256 = ?, content_type = ? WHERE version = ?",
        info.sizeBytes,
        info.sha256,
        info.contentType,
        this.#version,
      );
      return undefined;
    });
    if (refusal !== undefined) {
      throw partRefused(this.#key, this.#term, refusal);
    }
  }

  async abort(): Promise<void> {
    try {
      await this.#database.write(() =>
        this.#database.run("UPDATE parts SET stage = 'garbage' WHERE version = ? AND stage = 'open'", this.#version),
      );
      await deleteGarbage(this.#database, this.#database.deadlineMs());
    } catch {
      // What stays is unreadable, and goes with the next writer of this part or with the snapshot.
    }
  }
}

export async function statPart(database: Database, key: PartKey): Promise<PartInfo | undefined> {
  const row = await database.read(() => committed(database, key));
  return row === undefined ? undefined : infoOf(row);
}

export async function* readPart(database: Database, key: PartKey): AsyncGenerator<Uint8Array> {
  const row = await database.read(() => committed(database, key));
  if (row === undefined) {
    throw partMissing(key);
  }
  const tally = new PartTally();
  for (let number = 0; number < Number(row.chunks); number += 1) {
    const chunk = await readChunk(database, key, Number(row.version), number);
    tally.add(chunk);
    yield chunk;
    await turn();
  }
  tally.check(key, infoOf(row));
}

async function readChunk(database: Database, key: PartKey, version: number, number: number): Promise<Uint8Array> {
  let row: Row | undefined;
  try {
    row = await database.read(() =>
      database.get("SELECT sha256, bytes FROM chunks WHERE version = ? AND number = ?", version, number),
    );
  } catch (error) {
    throw error instanceof StoreError && error.code === "StoreCorrupt" ? partCorrupt(key, error.message, error) : error;
  }
  if (row === undefined || !(row.bytes instanceof Uint8Array)) {
    throw partCorrupt(key, `chunk ${number} is gone`);
  }
  if (createHash("sha256").update(row.bytes).digest("hex") !== row.sha256) {
    throw partCorrupt(key, `chunk ${number} does not have its hash`);
  }
  return row.bytes;
}

/** Deletes what nothing leads to, in small transactions. `stopped`: the time was over first. */
export async function deleteGarbage(database: Database, deadlineMs: number): Promise<"deleted" | "stopped"> {
  for (;;) {
    const rest = await database.write(() => {
      const part = database.get("SELECT version FROM parts WHERE stage = 'garbage' ORDER BY version LIMIT 1");
      if (part === undefined) {
        return "none";
      }
      const deleted = database.run(
        "DELETE FROM chunks WHERE rowid IN (SELECT rowid FROM chunks WHERE version = ? LIMIT ?)",
        Number(part.version),
        deletedChunksMax,
      );
      if (deleted < deletedChunksMax) {
        database.run("DELETE FROM parts WHERE version = ?", Number(part.version));
      }
      return "some";
    }, "lazy");
    if (rest === "none") {
      return "deleted";
    }
    await database.read(() => database.all(`PRAGMA incremental_vacuum(${vacuumedPagesMax})`));
    if (performance.now() >= deadlineMs) {
      return "stopped";
    }
    await turn();
  }
}

function committed(database: Database, key: PartKey): Row | undefined {
  return database.get(
    "SELECT * FROM parts WHERE snapshot = ? AND name = ? AND stage = 'committed'",
    keyText(key.snapshotId),
    partName(key),
  );
}

function infoOf(row: Row): PartInfo {
  return { sizeBytes: Number(row.size_bytes), sha256: String(row.sha256), contentType: String(row.content_type) };
}
