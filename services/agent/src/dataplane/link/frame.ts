import type { HeaderList } from "@cutline/h2";
import { type FrameRole, headersRole } from "../call/position.ts";

const noHeaders: HeaderList = [];

/**
 * A numbered frame as it arrived. Its place in its call is filled in by the call's queue of inbound frames; a frame of
 * a call that is over has none.
 */
export class ArrivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly number: number;
  readonly callId: number;
  /** Replaced by a copy where the frame is kept, see `unpin`. */
  payload: Buffer;
  role: FrameRole = headersRole;
  /** Pieces of messages: where this one begins, and the whole length (0 where a first piece did not tell). */
  offsetBytes = 0;
  messageBytes = 0;
  /** Opening headers, response headers and trailers; else empty. */
  headers: HeaderList = noHeaders;

  constructor(type: number, flags: number, number: number, callId: number, payload: Buffer) {
    this.type = type;
    this.flags = flags;
    this.number = number;
    this.callId = callId;
    this.payload = payload;
  }
}
