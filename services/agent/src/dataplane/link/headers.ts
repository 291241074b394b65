import type { HeaderList } from "@cutline/h2";
import { FrameError } from "./codec.ts";

/** Blocks remembered each way, and the bytes of the longest of them. */
const rememberedMax = 256;
const rememberedBytesMax = 1024;

/** Lists looked at to find out that one comes again. */
const recentLists = 16;

let encoded = new Map<HeaderList, Buffer>();
const recent: (HeaderList | undefined)[] = new Array(recentLists).fill(undefined);
let recentAt = 0;
let decoded = new Map<string, HeaderList>();

/**
 * Header blocks on a link: pairs (2 bytes), then for each name length (2), name, value length (4), value; latin1. The
 * block of a list that comes again, which the HTTP/2 layer knows by its being the same object, is encoded once; it must not be changed.
 */
export function encodeHeaders(headers: HeaderList): Buffer {
  const known = encoded.get(headers);
  if (known !== undefined) return known;
  const block = encode(headers);
  if (!recent.includes(headers)) {
    recent[recentAt] = headers;
    recentAt = (recentAt + 1) % recentLists;
  } else if (block.length <= rememberedBytesMax) {
    if (encoded.size >= rememberedMax) encoded = new Map();
    encoded.set(headers, block);
  }
  return block;
}

function encode(headers: HeaderList): Buffer {
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

/**
 * Throws {@link FrameError} when the block does not add up, or exceeds 256 KiB. Equal blocks give the same list, so
 * that what is worked out from a list need not be worked out again.
 */
export function decodeHeaders(block: Buffer): HeaderList {
  if (block.length < 2) throw new FrameError("a header block is empty");
  if (block.length > headerBlockBytesMax) {
    throw new FrameError(`a header block of ${block.length} bytes exceeds ${headerBlockBytesMax}`);
  }
  if (block.length > rememberedBytesMax) return decode(block);
  const key = block.toString("latin1");
  const known = decoded.get(key);
  if (known !== undefined) return known;
  const headers = decode(block);
  if (decoded.size >= rememberedMax) decoded = new Map();
  decoded.set(key, headers);
  return headers;
}

function decode(block: Buffer): HeaderList {
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

/** Whether the body consists of length-prefixed messages. */
export function isGrpc(headers: HeaderList): boolean {
  return headerValue(headers, "content-type")?.startsWith("application/grpc") ?? false;
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
