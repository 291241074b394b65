import type { Snapshot } from "@cutline/proto/snapshot";
import { corrupt, readDocument, writeOpenDocument, writePublishedDocument } from "./document.ts";
import { keyText, textOfKey } from "./key-text.ts";
import { listStepDocuments, positionOf, scanOf, writeCursor } from "./listing.ts";
import type { CreateOutcome, LeaseOutcome, ListPage, ListQuery, PartInfo, PartKey, PartWriter, Store } from "./port.ts";
import { StoreError } from "./port.ts";
import { Connection, type Operation } from "./redis/connection.ts";
import { Keys } from "./redis/keys.ts";
import { RedisPartWriter, readPart, statPart } from "./redis/parts.ts";
import { drop, removeSnapshot } from "./redis/removal.ts";
import {
  acquireLease,
  createDocument,
  raiseTerm,
  releaseLease,
  renewLease,
  replaceDocument,
  reserve,
} from "./redis/scripts.ts";

export interface RedisStoreOptions {
  /**
   * `redis://`, `rediss://` or `redis+sentinel://[user:password@]host[:port][,host[:port]]/master[/database]`. Redis 7 or
   * newer.
   */
  readonly url: string;
  /** Stands before every key; without braces, which would take the place of the hash tags. Default `cutline:`. */
  readonly keyPrefix?: string | undefined;
  readonly operationTimeoutMs: number;
  /** cluster: `url` names one node, the others are discovered. Default `single`. */
  readonly topology?: "single" | "cluster" | undefined;
}

/** Creating meets a half-removed namesake, finishes its removal and tries again, this often. */
const createTriesMax = 3;
/** Leaves room for two million sessions in a safe integer. */
const writesPerSessionMax = 2 ** 32;
/** Removals left by an earlier leader that one acquisition finishes; the rest waits for the next. */
const finishedRemovalsMax = 16;

/**
 * The store on Redis.
 *
 * How a late leader is kept out (I9): every script compares the writer's term with the lease's. On one server (also behind
 * Sentinel) it does so in the same script as the write. In a Redis Cluster the lease may lie in another slot than the snapshot, and no script
 * reaches both; so each snapshot's document remembers the highest term that wrote it and refuses lower ones, and taking the lease raises that
 * term on every document in the list before it returns. What needs the leader's own keys (making a snapshot known, removing it from
 * the list) checks the lease itself in either case.
 *
 * A write that timed out may still arrive, after later ones of the same term: documents remember the sequence of their last write and
 * refuse what was overtaken, chunks are numbered, and a part belongs to one writer.
 *
 * Terms are times where the clock allows (`nextTerm`), so that they grow even when a failover has lost the last one.
 *
 * Connecting goes on in the background; operations wait for it within their time. Rejects a key prefix with braces, or a URL that cannot be read, with a `RangeError`.
 */
export async function openRedisStore(options: RedisStoreOptions): Promise<Store> {
  const keyPrefix = options.keyPrefix ?? "cutline:";
  if (/[{}]/.test(keyPrefix)) {
    throw new RangeError(`The key prefix ${keyPrefix} has a brace, which would take the place of the hash tags.`);
  }
  const topology = options.topology ?? "single";
  if (topology === "cluster" && options.url.startsWith("redis+sentinel:")) {
    throw new RangeError("A Redis Cluster has no sentinels: give the URL of one of its nodes.");
  }
  return new RedisStore(new Connection({ ...options, topology }), new Keys(keyPrefix), topology);
}

class RedisStore implements Store {
  readonly #connection: Connection;
  readonly #keys: Keys;
  readonly #topology: "single" | "cluster";
  /**
   * Orders the writes of a document under one term: the session, then a count. With the session it grows over all terms, for a
   * document whose term is raised keeps the sequence of its last write.
   */
  #sequence = 0;

  constructor(connection: Connection, keys: Keys, topology: "single" | "cluster") {
    this.#connection = connection;
    this.#keys = keys;
    this.#topology = topology;
  }

  async acquireLease(holder: string, leaseMs: number): Promise<LeaseOutcome> {
    const operation = this.#connection.operation("write", "acquire the lease");
    const reply = await operation.script(acquireLease, [this.#keys.lease], [holder, leaseMs]);
    const [outcome, first, second, succession] = reply;
    if (outcome === "held") {
      return { outcome, holder: String(first), expiresInMs: Number(second) };
    }
    const term = Number(first);
    this.#sequence = Number(second) * writesPerSessionMax;
    if (this.#topology === "cluster") {
      await this.#raiseTerms(operation, term);
    }
    await this.#finishRemovals(operation, term);
    return { outcome: "acquired", term, succession: succession === "first" ? "first" : "takeOver" };
  }

  async renewLease(term: number, leaseMs: number): Promise<"renewed" | "lost"> {
    const operation = this.#connection.operation("write", "renew the lease");
    const [outcome] = await operation.script(renewLease, [this.#keys.lease], [term, leaseMs]);
    return outcome === "renewed" ? "renewed" : "lost";
  }

  async releaseLease(term: number): Promise<void> {
    await this.#connection.operation("write", "release the lease").script(releaseLease, [this.#keys.lease], [term]);
  }

  async create(term: number, snapshot: Snapshot): Promise<CreateOutcome> {
    const json = writeOpenDocument(snapshot);
    const operation = this.#connection.operation("write", `create snapshot ${snapshot.id}`);
    for (let tries = 0; tries < createTriesMax; tries += 1) {
      const { lease, index, idempotency } = this.#keys;
      const values = [term, keyText(snapshot.id), positionOf(snapshot), snapshot.idempotencyKey, json];
      const [reserved, first] = await operation.script(reserve, [lease, index, idempotency], values);
      if (reserved === "fenced") {
        return { outcome: "fenced" };
      }
      const made = reserved === "exists" ? readReservation(String(first)) : { snapshot, json };
      // A creation that broke off between the two steps is finished here, on behalf of whoever began it.
      const outcome = await this.#createDocument(operation, term, made.snapshot, made.json);
      if (outcome.outcome === "removing") {
        await removeSnapshot(operation, this.#keys, this.#fence(made.snapshot.id), term, made.snapshot.id);
      } else if (outcome.outcome === "created" && reserved === "exists") {
        return { outcome: "exists", snapshot: made.snapshot };
      } else {
        return outcome;
      }
    }
    throw new StoreError(
      "StoreUnavailable",
      `Snapshot ${snapshot.id} was being removed while it was created. Try again.`,
    );
  }

  async update(term: number, snapshot: Snapshot): Promise<"written" | "fenced" | "missing" | "published"> {
    const outcome = await this.#replace("update", term, snapshot, writeOpenDocument(snapshot), 0);
    return outcome === "already" ? "published" : outcome;
  }

  async publish(term: number, snapshot: Snapshot): Promise<"published" | "already" | "fenced" | "missing"> {
    const outcome = await this.#replace("publish", term, snapshot, writePublishedDocument(snapshot), 1);
    return outcome === "written" ? "published" : outcome;
  }

  async get(id: string): Promise<Snapshot | undefined> {
    const operation = this.#connection.operation("read", `read snapshot ${id}`);
    const json = await operation.send((client) => client.hget(this.#keys.document(id), "json"));
    return json === null ? undefined : readDocument(id, json);
  }

  async list(query: ListQuery): Promise<ListPage> {
    const scan = scanOf(query);
    const operation = this.#connection.operation("read", "list snapshots");
    const snapshots: Snapshot[] = [];
    const from = scan.from === undefined ? "-" : `[${scan.from}`;
    let below = scan.below;
    for (;;) {
      const top = below === undefined ? "+" : `(${below}`;
      const positions = await operation.send((client) =>
        client.zrange(this.#keys.index, top, from, "BYLEX", "REV", "LIMIT", 0, listStepDocuments),
      );
      const documents = await Promise.all(positions.map((position) => this.#listed(operation, position)));
      for (const [step, position] of positions.entries()) {
        const snapshot = documents[step];
        if (snapshot !== undefined && scan.matches(snapshot)) {
          // One match more than the page holds tells that there is a next page.
          if (snapshots.length === scan.limit) {
            return { snapshots, next: writeCursor(String(below)) };
          }
          snapshots.push(snapshot);
        }
        below = position;
      }
      if (positions.length < listStepDocuments) {
        return { snapshots };
      }
    }
  }

  async remove(term: number, id: string): Promise<"removed" | "fenced" | "missing"> {
    const operation = this.#connection.operation("write", `remove snapshot ${id}`);
    return await removeSnapshot(operation, this.#keys, this.#fence(id), term, id);
  }

  async removeParts(term: number, id: string, attemptThrough: number): Promise<"removed" | "fenced"> {
    const operation = this.#connection.operation("write", `remove parts of snapshot ${id}`);
    const dropped = await drop(operation, this.#keys, this.#fence(id), term, id, attemptThrough);
    return dropped === "fenced" ? "fenced" : "removed";
  }

  async writePart(term: number, key: PartKey): Promise<PartWriter> {
    return await RedisPartWriter.begin(this.#connection, this.#keys, this.#fence(key.snapshotId), term, key);
  }

  async statPart(key: PartKey): Promise<PartInfo | undefined> {
    return await statPart(this.#connection, this.#keys, key);
  }

  readPart(key: PartKey): AsyncIterable<Uint8Array> {
    return readPart(this.#connection, this.#keys, key);
  }

  async ping(): Promise<void> {
    await this.#connection.operation("read", "answer a ping").send((client) => client.hget(this.#keys.lease, "term"));
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** The key whose term a snapshot's scripts compare with, besides the document's own. */
  #fence(id: string): string {
    return this.#topology === "single" ? this.#keys.lease : this.#keys.document(id);
  }

  async #createDocument(
    operation: Operation,
    term: number,
    snapshot: Snapshot,
    json: string,
  ): Promise<CreateOutcome | { outcome: "removing" }> {
    const keys = [this.#keys.document(snapshot.id), this.#fence(snapshot.id)];
    const values = [term, json, positionOf(snapshot), snapshot.idempotencyKey];
    const [outcome, stored] = await operation.script(createDocument, keys, values);
    if (outcome === "exists") {
      return { outcome, snapshot: readDocument(snapshot.id, String(stored)) };
    }
    return { outcome: outcome as "created" | "fenced" | "removing" };
  }

  async #replace(
    verb: string,
    term: number,
    snapshot: Snapshot,
    json: string,
    published: 0 | 1,
  ): Promise<"written" | "already" | "fenced" | "missing"> {
    this.#sequence += 1;
    const operation = this.#connection.operation("write", `${verb} snapshot ${snapshot.id}`);
    const keys = [this.#keys.document(snapshot.id), this.#fence(snapshot.id)];
    const [outcome] = await operation.script(replaceDocument, keys, [term, json, this.#sequence, published]);
    return outcome as "written" | "already" | "fenced" | "missing";
  }

  async #listed(operation: Operation, position: string): Promise<Snapshot | undefined> {
    const id = textOfKey(position.slice(position.indexOf(":") + 1));
    const [json, stored] = await operation.send((client) => client.hmget(this.#keys.document(id), "json", "position"));
    // No document: it is half created or half removed. Another position: the entry is of a creation that came second.
    return typeof json === "string" && stored === position ? readDocument(id, json) : undefined;
  }

  async #raiseTerms(operation: Operation, term: number): Promise<void> {
    let from = "-";
    for (;;) {
      const positions = await operation.send((client) =>
        client.zrange(this.#keys.index, from, "+", "BYLEX", "LIMIT", 0, listStepDocuments),
      );
      const ids = positions.map((position) => textOfKey(position.slice(position.indexOf(":") + 1)));
      await Promise.all(ids.map((id) => operation.script(raiseTerm, [this.#keys.document(id)], [term])));
      const last = positions.at(-1);
      if (last === undefined || positions.length < listStepDocuments) {
        return;
      }
      from = `(${last}`;
    }
  }

  async #finishRemovals(operation: Operation, term: number): Promise<void> {
    const ids = await operation.send((client) => client.smembers(this.#keys.removing));
    for (const id of ids.slice(0, finishedRemovalsMax).map(textOfKey)) {
      await removeSnapshot(operation, this.#keys, this.#fence(id), term, id);
    }
  }
}

function readReservation(text: string): { snapshot: Snapshot; json: string } {
  const end = text.indexOf("\n");
  if (end < 0) {
    throw corrupt(text, "its reservation has no document");
  }
  const json = text.slice(end + 1);
  return { snapshot: readDocument(textOfKey(text.slice(0, end)), json), json };
}
