import type { Duplex } from "node:stream";
import { BatchWriter } from "@cutline/runtime";
/** Writes frames (RFC 9113, section 4.1) into the batch of this turn of the event loop. */
export declare class Output extends BatchWriter {
  #private;
  constructor(socket: Duplex, onFlushed: () => void);
  head(payloadBytes: number, type: number, flags: number, streamId: number): void;
  uint32(value: number): void;
  uint16(value: number): void;
  /** One DATA frame. `bytes` must not change before they are sent. */
  data(streamId: number, bytes: Uint8Array, endStream: boolean): void;
  /** Ends a stream: on its last DATA frame while that has not left, else with an empty one. */
  endData(streamId: number): void;
  /** A header block, in as many frames as it needs. `block` may change afterwards. */
  headers(streamId: number, block: Uint8Array, endStream: boolean): void;
}
