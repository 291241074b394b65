import { randomUUID } from "node:crypto";
import { partName } from "../key-text.ts";
import {
  checkChunkSize,
  describePart,
  type PartRefusal,
  PartTally,
  partCorrupt,
  partMissing,
  partRefused,
} from "../part.ts";
import type { PartInfo, PartKey, PartWriter } from "../port.ts";
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { abortPart, beginPart, commitPart, writeChunk } from "./scripts.ts";

export class RedisPartWriter implements PartWriter {
  readonly #connection: Connection;
  readonly #keys: PartKeys;
  readonly #term: number;
  readonly #key: PartKey;
  readonly #writer = randomUUID();
  readonly #tally = new PartTally();

  private constructor(connection: Connection, keys: PartKeys, term: number, key: PartKey) {
    this.#connection = connection;
    this.#keys = keys;
    this.#term = term;
    this.#key = key;
  }

  static async begin(
    connection: Connection,
    keys: Keys,
    fence: string,
    term: number,
    key: PartKey,
  ): Promise<PartWriter> {
    const writer = new RedisPartWriter(connection, partKeys(keys, fence, key), term, key);
    await writer.#begin();
    return writer;
  }

  async write(chunk: Uint8Array): Promise<void> {
    checkChunkSize(chunk);
    if (chunk.byteLength === 0) {
      return;
    }
    const { document, fence, open } = this.#keys;
    const reply = await this.#connection
      .operation("write", `write a chunk of ${describePart(this.#key)}`)
      .script(writeChunk, [document, fence, open], [this.#term, this.#writer, this.#tally.chunks, chunk]);
    this.#expect("written", reply);
    this.#tally.add(chunk);
  }

  async commit(info: PartInfo): Promise<void> {
    this.#tally.check(this.#key, info);
    const { document, fence, open, committed } = this.#keys;
    const reply = await this.#connection
      .operation("write", `commit ${describePart(this.#key)}`)
      .script(
        commitPart,
        [document, fence, open, committed],
        [this.#term, this.#writer, this.#tally.chunks, info.sizeBytes, info.sha256, info.contentType],
      );
    this.#expect("committed", reply);
  }

  async abort(): Promise<void> {
    const { parts, open, committed, name } = this.#keys;
    try {
      await this.#connection
        .operation("write", `abort ${describePart(this.#key)}`)
        .script(abortPart, [parts, open, committed], [name, this.#writer]);
    } catch {
      // What stays is unreadable, and goes with the next writer of this part or with the snapshot.
    }
  }

  async #begin(): Promise<void> {
    const { document, fence, parts, open, name } = this.#keys;
    const reply = await this.#connection
      .operation("write", `begin ${describePart(this.#key)}`)
      .script(beginPart, [document, fence, parts, open], [this.#term, name, this.#writer]);
    this.#expect("begun", reply);
  }

  #expect(success: "begun" | "written" | "committed", [outcome]: readonly string[]): void {
    if (outcome !== success) {
      throw partRefused(this.#key, this.#term, outcome as PartRefusal);
    }
  }
}

export async function statPart(connection: Connection, keys: Keys, key: PartKey): Promise<PartInfo | undefined> {
  return (await readHead(connection, keys, key))?.info;
}

export async function* readPart(connection: Connection, keys: Keys, key: PartKey): AsyncGenerator<Uint8Array> {
  const head = await readHead(connection, keys, key);
  if (head === undefined) {
    throw partMissing(key);
  }
  const committed = keys.committedPart(key.snapshotId, partName(key));
  const tally = new PartTally();
  for (let number = 0; number < head.chunks; number += 1) {
    const [writer, chunk] = await connection
      .operation("read", `read ${describePart(key)}`)
      .send((client) => client.hmgetBuffer(committed, "writer", String(number)));
    if (writer?.toString() !== head.writer || !chunk) {
      throw partCorrupt(key, `chunk ${number} is gone`);
    }
    tally.add(chunk);
    yield chunk;
  }
  tally.check(key, head.info);
}

async function readHead(
  connection: Connection,
  keys: Keys,
  key: PartKey,
): Promise<{ writer: string; chunks: number; info: PartInfo } | undefined> {
  const committed = keys.committedPart(key.snapshotId, partName(key));
  const fields = ["writer", "count", "sizeBytes", "sha256", "contentType"] as const;
  const values = await connection
    .operation("read", `look up ${describePart(key)}`)
    .send((client) => client.hmget(committed, ...fields));
  if (values.every((value) => value === null)) {
    return undefined;
  }
  const [writer, count, sizeBytes, sha256, contentType] = values.map((value, position) => {
    if (typeof value !== "string") {
      throw partCorrupt(key, `its ${fields[position]} is gone`);
    }
    return value;
  });
  return {
    writer: String(writer),
    chunks: Number(count),
    info: { sizeBytes: Number(sizeBytes), sha256: String(sha256), contentType: String(contentType) },
  };
}

interface PartKeys {
  readonly name: string;
  readonly document: string;
  readonly fence: string;
  readonly parts: string;
  readonly open: string;
  readonly committed: string;
}

function partKeys(keys: Keys, fence: string, key: PartKey): PartKeys {
  const name = partName(key);
  return {
    name,
    document: keys.document(key.snapshotId),
    fence,
    parts: keys.parts(key.snapshotId),
    open: keys.openPart(key.snapshotId, name),
    committed: keys.committedPart(key.snapshotId, name),
  };
}
