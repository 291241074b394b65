/** What an entry counts beside its octets (RFC 7541, section 4.1). */
export declare const entryOverheadBytes = 32;
/**
 * The table of one direction (RFC 7541, section 2.3.2), as a ring: the newest entry has index 1 here. `generation`
 * changes with every change, so that what was worked out from the table is known to hold or not.
 */
export declare class DynamicTable {
  #private;
  generation: number;
  /** Entries ever added; an entry's serial number is the count when it was, so that `added - serial` newer ones stand before it. */
  added: number;
  constructor(bytesMax: number);
  get entries(): number;
  get bytesMax(): number;
  name(index: number): string;
  value(index: number): string;
  add(name: string, value: string, onEvicted?: (name: string, value: string) => void): "added" | "tooLarge";
  resize(bytesMax: number, onEvicted?: (name: string, value: string) => void): void;
}
