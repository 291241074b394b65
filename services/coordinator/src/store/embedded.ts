import { createHash } from "node:crypto";
import type { Snapshot } from "@cutline/proto/snapshot";
import { nextTerm } from "@cutline/protocol";
import { corrupt, readDocument, writeOpenDocument, writePublishedDocument } from "./document.ts";
import { Database, type Row } from "./embedded/database.ts";
import { deleteGarbage, EmbeddedPartWriter, readPart, statPart } from "./embedded/parts.ts";
import { keyText, textOfKey } from "./key-text.ts";
import { listStepDocuments, positionOf, scanOf, writeCursor } from "./listing.ts";
import type { CreateOutcome, LeaseOutcome, ListPage, ListQuery, PartInfo, PartKey, PartWriter, Store } from "./port.ts";
import { StoreError } from "./port.ts";

export interface EmbeddedStoreOptions {
  /** A file on a local disk, or ":memory:" for a store that ends with the program. */
  readonly path: string;
  readonly operationTimeoutMs: number;
  /** The file grows no further; then writes reject with `StoreFull`. `undefined`: the disk is the limit. */
  readonly sizeBytesMax?: number | undefined;
  /** Milliseconds since 1970, for leases. */
  readonly clock?: () => number;
}

/**
 * The store for one machine: a SQLite file in WAL mode. Several processes may open it; the lease and its terms keep
 * them apart. Commits of parts, documents and publication are on the disk when the call is over. Rejects with
 * `StoreCorrupt` when the file is damaged, `StoreUnavailable` when it cannot be opened.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<Store> {
  const database = await Database.open(options);
  return new EmbeddedStore(database, options.operationTimeoutMs, options.clock ?? Date.now);
}

class EmbeddedStore implements Store {
  readonly #database: Database;
  readonly #operationTimeoutMs: number;
  readonly #clock: () => number;

  constructor(database: Database, operationTimeoutMs: number, clock: () => number) {
    this.#database = database;
    this.#operationTimeoutMs = operationTimeoutMs;
    this.#clock = clock;
  }

  async acquireLease(holder: string, leaseMs: number): Promise<LeaseOutcome> {
    const outcome = await this.#database.write((): LeaseOutcome => {
      const lease = this.#lease();
      const nowMs = this.#clock();
      if (lease.expiresAtMs > nowMs && lease.holder !== holder) {
        return { outcome: "held", holder: lease.holder, expiresInMs: lease.expiresAtMs - nowMs };
      }
      // A new one for the same holder too: what it sent in its last term may still be on its way.
      const term = nextTerm(lease.term, nowMs);
      this.#database.run("UPDATE lease SET term = ?, holder = ?, expires_at_ms = ?", term, holder, nowMs + leaseMs);
      return { outcome: "acquired", term, succession: lease.term === 0 ? "first" : "takeOver" };
    });
    if (outcome.outcome === "acquired") {
      // What an earlier leader did not finish deleting; the rest of it waits for the next one.
      await deleteGarbage(this.#database, this.#database.deadlineMs());
    }
    return outcome;
  }

  async renewLease(term: number, leaseMs: number): Promise<"renewed" | "lost"> {
    const nowMs = this.#clock();
    const renewed = await this.#database.write(() =>
      this.#database.run(
        "UPDATE lease SET expires_at_ms = ? WHERE term = ? AND expires_at_ms > ?",
        nowMs + leaseMs,
        term,
        nowMs,
      ),
    );
    return renewed === 1 ? "renewed" : "lost";
  }

  async releaseLease(term: number): Promise<void> {
    await this.#database.write(() => this.#database.run("UPDATE lease SET expires_at_ms = 0 WHERE term = ?", term));
  }

  async create(term: number, snapshot: Snapshot): Promise<CreateOutcome> {
    const document = writeOpenDocument(snapshot);
    const idempotencyKey = snapshot.idempotencyKey === "" ? null : keyText(snapshot.idempotencyKey);
    const existing = await this.#database.write((): "created" | "fenced" | Row => {
      if (this.#fence(term) === "fenced") {
        return "fenced";
      }
      const known =
        this.#database.get("SELECT * FROM snapshots WHERE idempotency_key = ?", idempotencyKey) ??
        this.#database.get("SELECT * FROM snapshots WHERE id = ?", keyText(snapshot.id));
      if (known !== undefined) {
        return known;
      }
      this.#database.run(
        "INSERT INTO snapshots VALUES (?, ?, ?, 0, ?, ?)",
        keyText(snapshot.id),
        positionOf(snapshot),
        idempotencyKey,
        document,
        hashOf(document),
      );
      return "created";
    });
    return typeof existing === "string" ? { outcome: existing } : { outcome: "exists", snapshot: snapshotOf(existing) };
  }

  async update(term: number, snapshot: Snapshot): Promise<"written" | "fenced" | "missing" | "published"> {
    const outcome = await this.#replace(term, snapshot, writeOpenDocument(snapshot), 0);
    return outcome === "already" ? "published" : outcome;
  }

  async publish(term: number, snapshot: Snapshot): Promise<"published" | "already" | "fenced" | "missing"> {
    const outcome = await this.#replace(term, snapshot, writePublishedDocument(snapshot), 1);
    return outcome === "written" ? "published" : outcome;
  }

  async get(id: string): Promise<Snapshot | undefined> {
    const row = await this.#database.read(() =>
      this.#database.get("SELECT * FROM snapshots WHERE id = ?", keyText(id)),
    );
    return row === undefined ? undefined : snapshotOf(row);
  }

  async list(query: ListQuery): Promise<ListPage> {
    const scan = scanOf(query);
    const snapshots: Snapshot[] = [];
    let below = scan.below ?? "~";
    for (;;) {
      const rows = await this.#database.read(() =>
        this.#database.all(
          "SELECT * FROM snapshots WHERE position < ? AND position >= ? ORDER BY position DESC LIMIT ?",
          below,
          scan.from ?? "",
          listStepDocuments,
        ),
      );
      for (const row of rows) {
        const snapshot = snapshotOf(row);
        if (!scan.matches(snapshot)) {
          below = String(row.position);
          continue;
        }
        // One match more than the page holds tells that there is a next page.
        if (snapshots.length === scan.limit) {
          return { snapshots, next: writeCursor(below) };
        }
        snapshots.push(snapshot);
        below = String(row.position);
      }
      if (rows.length < listStepDocuments) {
        return { snapshots };
      }
    }
  }

  async remove(term: number, id: string): Promise<"removed" | "fenced" | "missing"> {
    const key = keyText(id);
    const outcome = await this.#database.write(() => {
      if (this.#fence(term) === "fenced") {
        return "fenced";
      }
      const documents = this.#database.run("DELETE FROM snapshots WHERE id = ?", key);
      this.#database.run("UPDATE parts SET stage = 'garbage' WHERE snapshot = ? AND stage <> 'garbage'", key);
      const garbage = this.#database.get("SELECT 1 FROM parts WHERE snapshot = ? AND stage = 'garbage' LIMIT 1", key);
      return documents === 0 && garbage === undefined ? "missing" : "removed";
    });
    if (outcome === "removed") {
      await this.#deleteGarbage(id);
    }
    return outcome;
  }

  async removeParts(term: number, id: string, attemptThrough: number): Promise<"removed" | "fenced"> {
    const outcome = await this.#database.write(() => {
      if (this.#fence(term) === "fenced") {
        return "fenced";
      }
      this.#database.run(
        "UPDATE parts SET stage = 'garbage' WHERE snapshot = ? AND attempt <= ? AND stage <> 'garbage'",
        keyText(id),
        attemptThrough,
      );
      return "removed";
    });
    if (outcome === "removed") {
      await this.#deleteGarbage(id);
    }
    return outcome;
  }

  async writePart(term: number, key: PartKey): Promise<PartWriter> {
    return await EmbeddedPartWriter.begin(this.#database, (checked) => this.#fence(checked), term, key);
  }

  async statPart(key: PartKey): Promise<PartInfo | undefined> {
    return await statPart(this.#database, key);
  }

  readPart(key: PartKey): AsyncIterable<Uint8Array> {
    return readPart(this.#database, key);
  }

  async ping(): Promise<void> {
    await this.#database.read(() => this.#lease());
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  async #replace(
    term: number,
    snapshot: Snapshot,
    document: string,
    published: 0 | 1,
  ): Promise<"written" | "already" | "fenced" | "missing"> {
    return await this.#database.write(() => {
      if (this.#fence(term) === "fenced") {
        return "fenced";
      }
      const known = this.#database.get("SELECT published FROM snapshots WHERE id = ?", keyText(snapshot.id));
      if (known === undefined) {
        return "missing";
      }
      if (known.published === 1) {
        return "already";
      }
      this.#database.run(
        "UPDATE snapshots SET published = ?, document = ?, sha256 = ? WHERE id = ?",
        published,
        document,
        hashOf(document),
        keyText(snapshot.id),
      );
      return "written";
    });
  }

  async #deleteGarbage(id: string): Promise<void> {
    if ((await deleteGarbage(this.#database, this.#database.deadlineMs())) === "stopped") {
      throw new StoreError(
        "StoreTimeout",
        `Snapshot ${id} is removed, and ${this.#operationTimeoutMs} ms were too short to delete all its bytes. Repeat the removal.`,
        { outcomeUnknown: true },
      );
    }
  }

  #fence(term: number): "leading" | "fenced" {
    return this.#lease().term > term ? "fenced" : "leading";
  }

  #lease(): { term: number; holder: string; expiresAtMs: number } {
    const row = this.#database.get("SELECT term, holder, expires_at_ms FROM lease");
    if (row === undefined) {
      throw new StoreError(
        "StoreCorrupt",
        `The file ${this.#database.path} has lost its lease. Restore it from a backup.`,
      );
    }
    return { term: Number(row.term), holder: String(row.holder), expiresAtMs: Number(row.expires_at_ms) };
  }
}

function snapshotOf(row: Row): Snapshot {
  const document = String(row.document);
  const id = textOfKey(String(row.id));
  if (hashOf(document) !== row.sha256) {
    throw corrupt(id, "it does not have its hash");
  }
  return readDocument(id, document);
}

function hashOf(document: string): string {
  return createHash("sha256").update(document).digest("hex");
}
