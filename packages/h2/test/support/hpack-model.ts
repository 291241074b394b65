import { huffmanDecode } from "../../src/hpack/huffman.ts";
import { staticEntries, staticNames, staticValues } from "../../src/hpack/static-table.ts";

/** HPACK read slowly and plainly out of RFC 7541, without any cache: what the decoder must agree with. */
export class HpackModel {
  /** What SETTINGS allow. Lowering it demands a size update in the next block (section 4.2). */
  allowedBytes: number;
  /** The lowest size allowed since the last update: the next update must first come down to it. */
  #owedBytes = Number.POSITIVE_INFINITY;
  #bytesMax: number;
  /** The newest first. */
  #entries: (readonly [string, string])[] = [];

  constructor(bytesMax: number) {
    this.allowedBytes = bytesMax;
    this.#bytesMax = bytesMax;
  }

  get entries(): readonly (readonly [string, string])[] {
    return this.#entries;
  }

  get bytes(): number {
    return this.#entries.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
  }

  allow(bytes: number): void {
    if (bytes < this.#bytesMax) this.#owedBytes = Math.min(this.#owedBytes, bytes);
    this.allowedBytes = bytes;
  }

  /** `undefined`: this is no header block. */
  decode(block: Uint8Array): string[] | undefined {
    const octets = [...block];
    const headers: string[] = [];
    try {
      while (octets.length > 0) this.#field(octets, headers);
    } catch {
      // Whatever is wrong with a block is the same to whoever asks: it is none.
      return undefined;
    }
    return headers;
  }

  #field(octets: number[], headers: string[]): void {
    const first = octets[0] as number;
    if (first >= 0x20 && first < 0x40) {
      const size = integer(octets, 5);
      if (headers.length > 0 || size > this.allowedBytes) throw new Error("a size update that is not allowed");
      this.#bytesMax = size;
      if (size <= this.#owedBytes) this.#owedBytes = Number.POSITIVE_INFINITY;
      this.#evict();
      return;
    }
    if (this.#owedBytes !== Number.POSITIVE_INFINITY) throw new Error("no size update");
    if (first >= 0x80) {
      headers.push(...this.#entry(integer(octets, 7)));
      return;
    }
    const index = integer(octets, first >= 0x40 ? 6 : 4);
    const name = index === 0 ? text(octets) : this.#entry(index)[0];
    const value = text(octets);
    if (first >= 0x40) {
      this.#entries.unshift([name, value]);
      this.#evict();
    }
    headers.push(name, value);
  }

  #entry(index: number): readonly [string, string] {
    if (index >= 1 && index <= staticEntries)
      return [staticNames[index - 1] as string, staticValues[index - 1] as string];
    const entry = this.#entries[index - staticEntries - 1];
    if (entry === undefined) throw new Error("no such index");
    return entry;
  }

  #evict(): void {
    while (this.bytes > this.#bytesMax) this.#entries.pop();
  }
}

function integer(octets: number[], prefixBits: number): number {
  const most = 2 ** prefixBits - 1;
  let value = next(octets) & most;
  if (value < most) return value;
  for (let shift = 0; ; shift += 7) {
    const octet = next(octets);
    value += (octet & 0x7f) * 2 ** shift;
    if (value >= 2 ** 28 || shift > 28) throw new Error("too large");
    if (octet < 0x80) return value;
  }
}

function text(octets: number[]): string {
  const isHuffman = (octets[0] ?? 0) >= 0x80;
  const bytes = integer(octets, 7);
  if (bytes > octets.length) throw new Error("cut short");
  const string = Uint8Array.from(octets.splice(0, bytes));
  return isHuffman ? huffmanDecode(string, 0, bytes) : Buffer.from(string).toString("latin1");
}

function next(octets: number[]): number {
  const octet = octets.shift();
  if (octet === undefined) throw new Error("cut short");
  return octet;
}
