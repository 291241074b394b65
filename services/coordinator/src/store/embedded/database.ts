import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { StoreError } from "../port.ts";
import { applicationId, schema, schemaVersion } from "./schema.ts";

export interface DatabaseOptions {
  /** A file, or ":memory:". */
  readonly path: string;
  /** Bounds the wait for a lock that another process holds. */
  readonly operationTimeoutMs: number;
  /** The file grows no further than this; `undefined`: the disk is the limit. */
  readonly sizeBytesMax?: number | undefined;
}

/** durable: on the disk when the call is over. lazy: with the next durable one. */
export type Durability = "durable" | "lazy";

const pageBytes = 16 * 1024;
const lockRetryMs = 5;
/** Checked at opening, so that this costs the same however much state there is; chunks carry their own hashes. */
const checkedTables = ["lease", "snapshots", "parts"];

/** One SQLite file: opening, transactions, and errors as {@link StoreError}. */
export class Database {
  readonly path: string;
  readonly #operationTimeoutMs: number;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();
  #durability: Durability = "durable";

  private constructor(options: DatabaseOptions, database: DatabaseSync) {
    this.path = options.path;
    this.#operationTimeoutMs = options.operationTimeoutMs;
    this.#database = database;
  }

  static async open(options: DatabaseOptions): Promise<Database> {
    let sqlite: DatabaseSync;
    try {
      // Locks are waited for with timers: SQLite's own wait would hold up the whole program.
      sqlite = new DatabaseSync(options.path, { timeout: 0 });
    } catch (error) {
      throw storeError(options.path, error);
    }
    const database = new Database(options, sqlite);
    try {
      await database.#retried(() => database.#prepareFile(options.sizeBytesMax));
      return database;
    } catch (error) {
      sqlite.close();
      throw error;
    }
  }

  /** Runs `work` in one write transaction: all of it happens, or nothing. */
  async write<T>(work: () => T, durability: Durability = "durable"): Promise<T> {
    return await this.#retried(() => {
      if (durability !== this.#durability) {
        this.#database.exec(`PRAGMA synchronous = ${durability === "durable" ? "FULL" : "NORMAL"}`);
        this.#durability = durability;
      }
      this.#database.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        this.#database.exec("COMMIT");
        return result;
      } catch (error) {
        // SQLite has rolled back by itself after some errors, a full disk among them.
        if (this.#database.isTransaction) {
          this.#database.exec("ROLLBACK");
        }
        throw error;
      }
    });
  }

  /** When an operation that begins now must be over, in the time of `performance.now`. */
  deadlineMs(): number {
    return performance.now() + this.#operationTimeoutMs;
  }

  async read<T>(work: () => T): Promise<T> {
    return await this.#retried(work);
  }

  run(sql: string, ...values: Value[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  get(sql: string, ...values: Value[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }

  all(sql: string, ...values: Value[]): Row[] {
    return this.#statement(sql).all(...values);
  }

  close(): void {
    if (this.#database.isOpen) {
      this.#statements.clear();
      this.#database.close();
    }
  }

  #statement(sql: string): ReturnType<DatabaseSync["prepare"]> {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      return known;
    }
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #prepareFile(sizeBytesMax: number | undefined): void {
    this.#database.exec(`PRAGMA page_size = ${pageBytes}`);
    this.#database.exec("PRAGMA auto_vacuum = INCREMENTAL");
    this.#database.exec("PRAGMA journal_mode = WAL");
    this.#database.exec("PRAGMA synchronous = FULL");
    if (sizeBytesMax !== undefined) {
      this.#database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(sizeBytesMax / pageBytes))}`);
    }
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const version = Number(this.#database.prepare("PRAGMA user_version").get()?.user_version);
      const application = Number(this.#database.prepare("PRAGMA application_id").get()?.application_id);
      const tables = Number(this.#database.prepare("SELECT count(*) AS count FROM sqlite_schema").get()?.count);
      if (tables === 0) {
        this.#database.exec(schema);
      } else if (application !== applicationId || version !== schemaVersion) {
        throw new StoreError(
          "StoreCorrupt",
          `The file ${this.path} is not a store of this version of Cutline (application ${application}, version ${version}). Choose another file.`,
        );
      }
      this.#database.exec("COMMIT");
    } finally {
      if (this.#database.isTransaction) {
        this.#database.exec("ROLLBACK");
      }
    }
    for (const table of checkedTables) {
      const row = this.#database.prepare(`PRAGMA quick_check(${table})`).get();
      const verdict = row === undefined ? "ok" : String(Object.values(row)[0]);
      if (verdict !== "ok") {
        throw new StoreError("StoreCorrupt", corruptMessage(this.path, `${table}: ${verdict}`));
      }
    }
  }

  /** `work` is repeated as long as another process holds the lock; it has changed nothing then. */
  async #retried<T>(work: () => T): Promise<T> {
    const deadlineMs = this.deadlineMs();
    for (;;) {
      if (!this.#database.isOpen) {
        throw new StoreError("StoreClosed", `The store ${this.path} is closed.`);
      }
      try {
        return work();
      } catch (error) {
        if (!isLocked(error)) {
          throw storeError(this.path, error);
        }
        if (performance.now() >= deadlineMs) {
          throw new StoreError(
            "StoreTimeout",
            `Another process held the file ${this.path} for ${this.#operationTimeoutMs} ms. Nothing was changed.`,
            { cause: error },
          );
        }
      }
      await sleep(lockRetryMs);
    }
  }
}

export type Value = null | number | string | Uint8Array;
export type Row = Record<string, unknown>;

/** SQLite's primary result codes that have a meaning of their own here. */
const codes = { busy: 5, locked: 6, readOnly: 8, corrupt: 11, full: 13, notADatabase: 26 } as const;

function codeOf(error: unknown): number | undefined {
  const extended = (error as { errcode?: unknown }).errcode;
  return typeof extended === "number" ? extended & 0xff : undefined;
}

function isLocked(error: unknown): boolean {
  const code = codeOf(error);
  return code === codes.busy || code === codes.locked;
}

function storeError(path: string, error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof StoreError || code === undefined) {
    return error;
  }
  const cause = (error as Error).message;
  switch (code) {
    case codes.readOnly:
      return new StoreError("StoreReadOnly", `The file ${path} cannot be written: ${cause}. Check its permissions.`, {
        cause: error,
      });
    case codes.full:
      return new StoreError("StoreFull", `There is no room left for the file ${path}. Remove snapshots or make room.`, {
        cause: error,
      });
    case codes.corrupt:
    case codes.notADatabase:
      return new StoreError("StoreCorrupt", corruptMessage(path, cause), { cause: error });
    default:
      return new StoreError("StoreUnavailable", `The file ${path} cannot be used: ${cause}.`, {
        cause: error,
        outcomeUnknown: true,
      });
  }
}

function corruptMessage(path: string, why: string): string {
  return `The file ${path} is damaged (${why}). Move it away, or restore it from a backup.`;
}
