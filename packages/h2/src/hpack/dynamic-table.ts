/** What an entry counts beside its octets (RFC 7541, section 4.1). */
export const entryOverheadBytes = 32;

/**
 * The table of one direction (RFC 7541, section 2.3.2), as a ring: the newest entry has index 1 here. `generation`
 * changes with every change, so that what was worked out from the table is known to hold or not.
 */
export class DynamicTable {
  generation = 0;
  /** Entries ever added; an entry's serial number is the count when it was, so that `added - serial` newer ones stand before it. */
  added = 0;
  #names: string[] = [];
  #values: string[] = [];
  /** Position of the oldest entry in the arrays. */
  #oldest = 0;
  #bytes = 0;
  #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get entries(): number {
    return this.#names.length - this.#oldest;
  }

  get bytesMax(): number {
    return this.#bytesMax;
  }

  name(index: number): string {
    return this.#names[this.#names.length - index] as string;
  }

  value(index: number): string {
    return this.#values[this.#values.length - index] as string;
  }

  add(name: string, value: string, onEvicted?: (name: string, value: string) => void): "added" | "tooLarge" {
    this.generation += 1;
    const bytes = name.length + value.length + entryOverheadBytes;
    this.#evictTo(this.#bytesMax - bytes, onEvicted);
    if (bytes > this.#bytesMax) return "tooLarge";
    this.#names.push(name);
    this.#values.push(value);
    this.#bytes += bytes;
    this.added += 1;
    return "added";
  }

  resize(bytesMax: number, onEvicted?: (name: string, value: string) => void): void {
    this.generation += 1;
    this.#bytesMax = bytesMax;
    this.#evictTo(bytesMax, onEvicted);
  }

  #evictTo(bytesMax: number, onEvicted?: (name: string, value: string) => void): void {
    while (this.#bytes > bytesMax && this.#oldest < this.#names.length) {
      const name = this.#names[this.#oldest] as string;
      const value = this.#values[this.#oldest] as string;
      this.#oldest += 1;
      this.#bytes -= name.length + value.length + entryOverheadBytes;
      onEvicted?.(name, value);
    }
    if (this.#oldest >= 64 && this.#oldest * 2 >= this.#names.length) {
      this.#names = this.#names.slice(this.#oldest);
      this.#values = this.#values.slice(this.#oldest);
      this.#oldest = 0;
    }
  }
}
