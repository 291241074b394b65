import { ConnectionError, ErrorCode } from "../errors.ts";
import type { HeaderList } from "../port.ts";
import { DynamicTable, entryOverheadBytes } from "./dynamic-table.ts";
import { huffmanDecode } from "./huffman.ts";
import { staticEntries, staticNames, staticValues } from "./static-table.ts";

/** A header block as it was decoded. Where the same octets come again, it is the same object. */
export interface DecodedBlock {
  /** Empty when `size` is `tooLarge`. */
  readonly headers: HeaderList;
  readonly size: "ok" | "tooLarge";
  /** Why the list must not be a request, an answer, or trailers; `null`: it may. Filled in by who asks first. */
  requestFault: string | null | undefined;
  answerFault: string | null | undefined;
  trailersFault: string | null | undefined;
  /** `content-length`; -1 without one. Filled in by who asks first. */
  declaredBytes: number | "wrong" | undefined;
}

interface Remembered {
  readonly block: DecodedBlock;
  readonly generation: number;
}

/** Blocks remembered of one connection, and octets of the longest of them. */
const rememberedMax = 128;
const rememberedBytesMax = 512;

/** Strings of a list that is remembered: a list of one-octet fields would take far more than its octets. */
const rememberedStringsMax = 128;

/** Integers beyond this are no lengths, indices or sizes that anybody needs. */
const integerMax = 0x0fff_ffff;

/**
 * HPACK's decoder (RFC 7541). A block whose octets came before, with the dynamic table as it was then, is not decoded
 * again: a gRPC client sends the same few octets for each call to a method.
 */
export class HpackDecoder {
  readonly #table: DynamicTable;
  /** What our SETTINGS allow the peer's encoder. */
  readonly #tableBytesMax: number;
  readonly #listBytesMax: number;
  #remembered = new Map<string, Remembered>();
  #at = 0;

  constructor(tableBytesMax: number, listBytesMax: number) {
    this.#table = new DynamicTable(tableBytesMax);
    this.#tableBytesMax = tableBytesMax;
    this.#listBytesMax = listBytesMax;
  }

  /** Throws a compression error (of the connection) for what is no header block. */
  decode(source: Buffer, start: number, end: number): DecodedBlock {
    if (end - start > rememberedBytesMax) return this.#decode(source, start, end);
    const key = source.toString("latin1", start, end);
    const known = this.#remembered.get(key);
    const { generation } = this.#table;
    if (known !== undefined && known.generation === generation) return known.block;
    const block = this.#decode(source, start, end);
    if (this.#table.generation === generation && block.headers.length <= rememberedStringsMax) {
      if (this.#remembered.size >= rememberedMax) this.#remembered.clear();
      this.#remembered.set(key, { block, generation });
    }
    return block;
  }

  #decode(source: Buffer, start: number, end: number): DecodedBlock {
    const table = this.#table;
    const headers: string[] = [];
    let listBytes = 0;
    this.#at = start;
    while (this.#at < end) {
      const first = source[this.#at] as number;
      let name: string;
      let value: string;
      if (first >= 0x80) {
        const index = this.#integer(source, end, 0x7f);
        name = this.#name(index);
        value = index <= staticEntries ? (staticValues[index - 1] as string) : table.value(index - staticEntries);
      } else if (first >= 0x20 && first < 0x40) {
        if (headers.length > 0 || listBytes > 0) throw compressionError("a table size update stands behind a header");
        this.#resize(this.#integer(source, end, 0x1f));
        continue;
      } else {
        const adds = first >= 0x40;
        const index = this.#integer(source, end, adds ? 0x3f : 0x0f);
        name = index === 0 ? this.#string(source, end) : this.#name(index);
        value = this.#string(source, end);
        if (adds) table.add(name, value);
      }
      listBytes += name.length + value.length + entryOverheadBytes;
      // Beyond the limit only the table is kept up to date.
      if (listBytes <= this.#listBytesMax) headers.push(name, value);
    }
    const size = listBytes <= this.#listBytesMax ? "ok" : "tooLarge";
    return {
      headers: size === "ok" ? headers : [],
      size,
      requestFault: undefined,
      answerFault: undefined,
      trailersFault: undefined,
      declaredBytes: undefined,
    };
  }

  #name(index: number): string {
    if (index > 0 && index <= staticEntries) return staticNames[index - 1] as string;
    if (index === 0 || index - staticEntries > this.#table.entries) {
      throw compressionError(`header index ${index} is in no table`);
    }
    return this.#table.name(index - staticEntries);
  }

  #resize(bytesMax: number): void {
    if (bytesMax > this.#tableBytesMax) {
      throw compressionError(`a table of ${bytesMax} bytes is above the ${this.#tableBytesMax} allowed`);
    }
    this.#table.resize(bytesMax);
  }

  /** RFC 7541, section 5.1. `mask`: the prefix's bits, all set. */
  #integer(source: Buffer, end: number, mask: number): number {
    let value = (source[this.#at++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= end) throw compressionError("a header block is cut short");
      const octet = source[this.#at++] as number;
      value += (octet & 0x7f) * 2 ** shift;
      if (value > integerMax || shift > 28) throw compressionError("a header block has an integer that is too large");
      if (octet < 0x80) return value;
    }
  }

  /** RFC 7541, section 5.2. */
  #string(source: Buffer, end: number): string {
    if (this.#at >= end) throw compressionError("a header block is cut short");
    const isHuffman = (source[this.#at] as number) >= 0x80;
    const bytes = this.#integer(source, end, 0x7f);
    const start = this.#at;
    if (bytes > end - start) throw compressionError("a header block is cut short");
    this.#at = start + bytes;
    return isHuffman ? huffmanDecode(source, start, start + bytes) : source.toString("latin1", start, start + bytes);
  }
}

function compressionError(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.compressionError, message);
}
