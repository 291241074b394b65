import type { HeaderList } from "../port.ts";
/**
 * HPACK's encoder (RFC 7541). A field enters the table when it comes for the second time, so that values which
 * change with every call (timeouts, trace ids) leave the table alone. Then the encoded form of a list that is the same
 * object as before stays valid, and is copied.
 */
export declare class HpackEncoder {
  #private;
  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  limitTable(bytesMax: number): void;
  /** The block's octets; valid until the next call. */
  encode(headers: HeaderList): Buffer;
}
