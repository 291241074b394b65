/**
 * The messages that bytes of states travel in, without the copies that the generated code makes of them: `state_chunk` of
 * `CaptureResponse` and `chunk` of `UploadRequest` are both the whole message, `bytes` in field 2.
 */

/** Field 2, with a length. */
const chunkTag = 0x12;
/** Chunks have at most 256 KiB. */
const lengthBytesMax = 3;

/** The message with this chunk in it, for chunks of up to 2 MiB. */
export function encodeChunk(chunk: Uint8Array): Buffer {
  let lengthBytes = 1;
  while (chunk.length >= 1 << (7 * lengthBytes)) lengthBytes += 1;
  const message = Buffer.allocUnsafe(1 + lengthBytes + chunk.length);
  message[0] = chunkTag;
  for (let at = 0; at < lengthBytes; at += 1) {
    const isLast = at === lengthBytes - 1;
    message[1 + at] = ((chunk.length >>> (7 * at)) & 0x7f) | (isLast ? 0 : 0x80);
  }
  message.set(chunk, 1 + lengthBytes);
  return message;
}

/** The chunk that a message consists of, as a view of it; `undefined`: it is anything else, and the generated code reads it. */
export function chunkIn(message: Buffer): Buffer | undefined {
  if (message[0] !== chunkTag) return undefined;
  let length = 0;
  for (let at = 0; at < lengthBytesMax; at += 1) {
    const byte = message[1 + at];
    if (byte === undefined) return undefined;
    length |= (byte & 0x7f) << (7 * at);
    if (byte < 0x80) {
      const chunk = message.subarray(2 + at);
      return chunk.length === length ? chunk : undefined;
    }
  }
  return undefined;
}
