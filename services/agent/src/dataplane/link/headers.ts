import type { HeaderList } from "../http2/port.ts";
import { FrameError } from "./codec.ts";

/** Header blocks on a link: pairs (2 bytes), then for each name length (2), name, value length (4), value; latin1. */
export function encodeHeaders(headers: HeaderList): Buffer {
  let bytes = 2;
  for (let i = 0; i < headers.length; i += 2) bytes += 6 + (headers[i]?.length ?? 0) + (headers[i + 1]?.length ?? 0);
  const block = Buffer.allocUnsafe(bytes);
  let at = block.writeUInt16BE(headers.length / 2, 0);
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? "";
    const value = headers[i + 1] ?? "";
    at = block.writeUInt16BE(name.length, at);
    at += block.write(name, at, "latin1");
    at = block.writeUInt32BE(value.length, at);
    at += block.write(value, at, "latin1");
  }
  return block;
}

/** More than any agent takes from its application (64 KiB of headers), with the lengths in front of each. */
const headerBlockBytesMax = 256 * 1024;

/** Throws {@link FrameError} when the block does not add up, or exceeds 256 KiB. */
export function decodeHeaders(block: Buffer): string[] {
  if (block.length < 2) throw new FrameError("a header block is empty");
  if (block.length > headerBlockBytesMax) {
    throw new FrameError(`a header block of ${block.length} bytes exceeds ${headerBlockBytesMax}`);
  }
  const pairs = block.readUInt16BE(0);
  const headers: string[] = [];
  let at = 2;
  for (let i = 0; i < pairs; i += 1) {
    if (at + 2 > block.length) throw new FrameError("a header block is cut short");
    const nameEnd = at + 2 + block.readUInt16BE(at);
    if (nameEnd + 4 > block.length) throw new FrameError("a header block is cut short");
    const valueEnd = nameEnd + 4 + block.readUInt32BE(nameEnd);
    if (valueEnd > block.length) throw new FrameError("a header block is cut short");
    headers.push(block.toString("latin1", at + 2, nameEnd), block.toString("latin1", nameEnd + 4, valueEnd));
    at = valueEnd;
  }
  if (at !== block.length) throw new FrameError("a header block is followed by other bytes");
  return headers;
}

export function headerValue(headers: HeaderList, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return headers[i + 1];
  return undefined;
}

/** The list without the headers of these names. */
export function withoutHeaders(headers: HeaderList, names: ReadonlySet<string>): HeaderList {
  for (let i = 0; i < headers.length; i += 2) {
    if (!names.has(headers[i] ?? "")) continue;
    const kept: string[] = [];
    for (let k = 0; k < headers.length; k += 2) {
      if (!names.has(headers[k] ?? "")) kept.push(headers[k] ?? "", headers[k + 1] ?? "");
    }
    return kept;
  }
  return headers;
}
