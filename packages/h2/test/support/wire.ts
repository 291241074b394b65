import { Flag, FrameType, preface, Setting } from "../../src/frames/constants.ts";

/** HTTP/2 by hand: frames as bytes, right or wrong, and bytes as frames. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export type Bytes = Uint8Array | readonly number[];

const bytesOf = (bytes: Bytes): Buffer => Buffer.from(bytes as Uint8Array);

/** A frame that says a length of its own when `length` is given. */
export function frame(type: number, flags: number, streamId: number, payload: Bytes = [], length?: number): Buffer {
  const body = bytesOf(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(length ?? body.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, body]);
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * i);
  return bytes;
}

/** Header fields as literals that enter no table, as they are (RFC 7541, section 6.2.2). */
export function block(fields: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    parts.push(Buffer.from([0]), text(fields[i] as string), text(fields[i + 1] as string));
  }
  return Buffer.concat(parts);
}

/** A string of a header block, without Huffman. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  return Buffer.concat([integer(bytes.length, 0x00, 7), bytes]);
}

/** RFC 7541, section 5.1. */
export function integer(value: number, pattern: number, prefixBits: number): Buffer {
  const most = 2 ** prefixBits - 1;
  if (value < most) return Buffer.from([pattern | value]);
  const octets = [pattern | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) octets.push((rest % 128) | 128);
  return Buffer.from([...octets, rest]);
}

export interface HeadersOptions {
  readonly endStream?: boolean;
  readonly endHeaders?: boolean;
  readonly flags?: number;
}

export const wire = {
  preface,
  settings: (...pairs: (readonly [id: number, value: number])[]): Buffer =>
    frame(
      FrameType.settings,
      0,
      0,
      Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 0xff]), uint32(value)]))),
    ),
  settingsAck: frame(FrameType.settings, Flag.ack, 0),
  data: (streamId: number, payload: Bytes | string = "", endStream = false): Buffer =>
    frame(
      FrameType.data,
      endStream ? Flag.endStream : 0,
      streamId,
      typeof payload === "string" ? Buffer.from(payload, "latin1") : payload,
    ),
  /** `fields`: a list of headers, or the octets of a block. */
  headers: (streamId: number, fields: readonly string[] | Uint8Array, options: HeadersOptions = {}): Buffer =>
    frame(
      FrameType.headers,
      (options.endStream === true ? Flag.endStream : 0) |
        (options.endHeaders === false ? 0 : Flag.endHeaders) |
        (options.flags ?? 0),
      streamId,
      fields instanceof Uint8Array ? fields : block(fields),
    ),
  continuation: (streamId: number, fragment: Bytes, endHeaders = true): Buffer =>
    frame(FrameType.continuation, endHeaders ? Flag.endHeaders : 0, streamId, fragment),
  priority: (streamId: number, dependsOn = 0): Buffer =>
    frame(FrameType.priority, 0, streamId, Buffer.concat([uint32(dependsOn), Buffer.from([15])])),
  reset: (streamId: number, code: number): Buffer => frame(FrameType.rstStream, 0, streamId, uint32(code)),
  ping: (opaque: string): Buffer => frame(FrameType.ping, 0, 0, Buffer.from(opaque.padEnd(8).slice(0, 8), "latin1")),
  goaway: (lastStreamId: number, code: number): Buffer => frame(FrameType.goaway, 0, 0, uint32(lastStreamId, code)),
  windowUpdate: (streamId: number, increment: number): Buffer =>
    frame(FrameType.windowUpdate, 0, streamId, uint32(increment)),
} as const;

export const settingId = Setting;

/** Cuts bytes into frames without any check; what is left over waits. */
export class FrameParser {
  #rest: Buffer = Buffer.alloc(0);

  feed(chunk: Buffer): Frame[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    let at = 0;
    while (this.#rest.length - at >= 9) {
      const end = at + 9 + this.#rest.readUIntBE(at, 3);
      if (end > this.#rest.length) break;
      frames.push({
        type: this.#rest.readUInt8(at + 3),
        flags: this.#rest.readUInt8(at + 4),
        streamId: this.#rest.readUInt32BE(at + 5) & 0x7fff_ffff,
        payload: this.#rest.subarray(at + 9, end),
      });
      at = end;
    }
    this.#rest = Buffer.from(this.#rest.subarray(at));
    return frames;
  }
}
