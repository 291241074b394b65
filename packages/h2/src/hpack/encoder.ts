import type { HeaderList } from "../port.ts";
import { DynamicTable, entryOverheadBytes } from "./dynamic-table.ts";
import { huffmanBytes, huffmanEncode } from "./huffman.ts";
import { staticEntries, staticIndexOfField, staticIndexOfName } from "./static-table.ts";

/** Lists whose encoded form is kept, and the bytes of the longest of these forms. */
const keptListsMax = 64;
const keptBytesMax = 1024;

/** Lists looked at to find out that one comes again. */
const recentLists = 8;

/** Fields that came once and are not in the table. */
const candidatesMax = 256;

/** A value longer than this is sent as it is: it would push everything else out of the table. */
const indexedValueBytesMax = 512;

/** Never in any table, here or behind (RFC 7541, section 7.1.3). */
const secretNames: ReadonlySet<string> = new Set(["authorization", "proxy-authorization", "cookie", "set-cookie"]);

/**
 * HPACK's encoder (RFC 7541). A field enters the table when it comes for the second time, so that values which
 * change with every call (timeouts, trace ids) leave the table alone. Then the encoded form of a list that is the same
 * object as before stays valid, and is copied.
 */
export class HpackEncoder {
  readonly #table = new DynamicTable(4096);
  /** What we may use at most, whatever the peer allows. */
  readonly #bytesMax = 4096;
  /** Serial numbers of the table's entries, by name and value. */
  readonly #serials = new Map<string, Map<string, number>>();
  readonly #kept = new Map<HeaderList, { readonly bytes: Buffer; readonly generation: number }>();
  readonly #recent: (HeaderList | undefined)[] = new Array(recentLists).fill(undefined);
  #recentAt = 0;
  #candidates = new Set<string>();
  /** A size update to say at the head of the next block: the lowest size since the last, and the last. */
  #resized: { lowest: number; last: number } | undefined;
  #scratch = Buffer.allocUnsafeSlow(4096);
  #at = 0;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  limitTable(bytesMax: number): void {
    const size = Math.min(bytesMax, this.#bytesMax);
    if (size === this.#table.bytesMax && this.#resized === undefined) return;
    this.#resized = { lowest: Math.min(size, this.#resized?.lowest ?? size), last: size };
    this.#kept.clear();
    this.#table.resize(size, this.#onEvicted);
  }

  /** The block's octets; valid until the next call. */
  encode(headers: HeaderList): Buffer {
    const kept = this.#kept.get(headers);
    if (kept !== undefined && kept.generation === this.#table.generation && this.#resized === undefined) {
      return kept.bytes;
    }
    this.#at = 0;
    const { generation } = this.#table;
    const resized = this.#resized;
    if (resized !== undefined) this.#sayResized(resized);
    for (let i = 0; i + 1 < headers.length; i += 2) this.#field(headers[i] as string, headers[i + 1] as string);
    const block = this.#scratch.subarray(0, this.#at);
    // A block that changes the table does so once.
    if (resized === undefined && this.#table.generation === generation) this.#keepWhatComesAgain(headers, block);
    return block;
  }

  #keepWhatComesAgain(headers: HeaderList, block: Buffer): void {
    if (!this.#recent.includes(headers)) {
      this.#recent[this.#recentAt] = headers;
      this.#recentAt = (this.#recentAt + 1) % recentLists;
      return;
    }
    if (block.length > keptBytesMax) return;
    if (this.#kept.size >= keptListsMax) this.#kept.clear();
    this.#kept.set(headers, { bytes: Buffer.from(block), generation: this.#table.generation });
  }

  #field(name: string, value: string): void {
    const exact = staticIndexOfField.get(name)?.get(value);
    if (exact !== undefined) {
      this.#integer(exact, 0x80, 0x7f);
      return;
    }
    const values = this.#serials.get(name);
    const serial = values?.get(value);
    if (serial !== undefined) {
      this.#integer(staticEntries + 1 + this.#table.added - serial, 0x80, 0x7f);
      return;
    }
    const nameIndex = staticIndexOfName.get(name) ?? this.#dynamicIndexOfName(values);
    if (secretNames.has(name)) this.#literal(0x10, 0x0f, nameIndex, name, value);
    else if (!this.#comesAgain(name, value)) this.#literal(0x00, 0x0f, nameIndex, name, value);
    else {
      this.#literal(0x40, 0x3f, nameIndex, name, value);
      this.#add(name, value);
    }
  }

  #dynamicIndexOfName(values: Map<string, number> | undefined): number {
    if (values === undefined) return 0;
    for (const serial of values.values()) return staticEntries + 1 + this.#table.added - serial;
    return 0;
  }

  #comesAgain(name: string, value: string): boolean {
    const bytes = name.length + value.length + entryOverheadBytes;
    if (value.length > indexedValueBytesMax || bytes > this.#table.bytesMax) return false;
    const key = `${name}\0${value}`;
    if (this.#candidates.delete(key)) return true;
    if (this.#candidates.size >= candidatesMax) this.#candidates.clear();
    this.#candidates.add(key);
    return false;
  }

  #add(name: string, value: string): void {
    if (this.#table.add(name, value, this.#onEvicted) === "tooLarge") return;
    const values = this.#serials.get(name);
    if (values === undefined) this.#serials.set(name, new Map([[value, this.#table.added]]));
    else values.set(value, this.#table.added);
  }

  readonly #onEvicted = (name: string, value: string): void => {
    const values = this.#serials.get(name);
    values?.delete(value);
    if (values?.size === 0) this.#serials.delete(name);
  };

  #sayResized(resized: { lowest: number; last: number }): void {
    this.#resized = undefined;
    if (resized.lowest < resized.last) this.#integer(resized.lowest, 0x20, 0x1f);
    this.#integer(resized.last, 0x20, 0x1f);
  }

  #literal(pattern: number, mask: number, nameIndex: number, name: string, value: string): void {
    this.#integer(nameIndex, pattern, mask);
    if (nameIndex === 0) this.#string(name);
    this.#string(value);
  }

  #string(text: string): void {
    const bytes = huffmanBytes(text);
    if (bytes < text.length) {
      this.#integer(bytes, 0x80, 0x7f);
      this.#room(bytes);
      this.#at = huffmanEncode(text, this.#scratch, this.#at);
    } else {
      this.#integer(text.length, 0x00, 0x7f);
      this.#room(text.length);
      this.#at += this.#scratch.write(text, this.#at, "latin1");
    }
  }

  #integer(value: number, pattern: number, mask: number): void {
    this.#room(6);
    const target = this.#scratch;
    if (value < mask) {
      target[this.#at++] = pattern | value;
      return;
    }
    target[this.#at++] = pattern | mask;
    let left = value - mask;
    for (; left >= 0x80; left >>>= 7) target[this.#at++] = 0x80 | (left & 0x7f);
    target[this.#at++] = left;
  }

  #room(bytes: number): void {
    if (this.#scratch.length - this.#at >= bytes) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#scratch.length * 2, this.#at + bytes));
    this.#scratch.copy(larger, 0, 0, this.#at);
    this.#scratch = larger;
  }
}
