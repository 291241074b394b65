import { keyText } from "../key-text.ts";

/**
 * The names of all keys. Those of one snapshot share the hash tag `{snapshotId}`, those of the leader `{leader}`; every
 * script touches keys of one tag only, except for the lease where the topology is one server (see fence in scripts.ts).
 */
export class Keys {
  readonly #prefix: string;
  /** Hash: term, holder, expiresAtMs (by the server's clock), session. */
  readonly lease: string;
  /** Sorted set of positions, all with score 0: the order of the list. */
  readonly index: string;
  /** Hash: idempotency key -> id and first document of the snapshot made with it. */
  readonly idempotency: string;
  /** Set: ids of snapshots whose removal has begun and not ended. */
  readonly removing: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.lease = `${prefix}{leader}:lease`;
    this.index = `${prefix}{leader}:index`;
    this.idempotency = `${prefix}{leader}:idempotency`;
    this.removing = `${prefix}{leader}:removing`;
  }

  /** Hash: json, term (the highest that wrote), sequence, position, idempotencyKey, published. Without json: being removed. */
  document(id: string): string {
    return this.#ofSnapshot(id, "document");
  }

  /** Set: names of all parts, committed or not. */
  parts(id: string): string {
    return this.#ofSnapshot(id, "parts");
  }

  /** Hash: writer, count, and the chunks by number. */
  openPart(id: string, name: string): string {
    return this.#ofSnapshot(id, `open:${name}`);
  }

  /** The same hash after its commit, with sizeBytes, sha256 and contentType. */
  committedPart(id: string, name: string): string {
    return this.#ofSnapshot(id, `part:${name}`);
  }

  #ofSnapshot(id: string, rest: string): string {
    return `${this.#prefix}snapshot:{${keyText(id)}}:${rest}`;
  }
}
