import type { HeaderList } from "../port.ts";
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
/**
 * HPACK's decoder (RFC 7541). A block whose octets came before, with the dynamic table as it was then, is not decoded
 * again: a gRPC client sends the same few octets for each call to a method.
 */
export declare class HpackDecoder {
  #private;
  constructor(tableBytesMax: number, listBytesMax: number);
  /** Throws a compression error (of the connection) for what is no header block. */
  decode(source: Buffer, start: number, end: number): DecodedBlock;
}
