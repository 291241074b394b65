import { CaptureResponse } from "@cutline/proto/participant";

/** `state_chunk` is field 2 of the message, with a length. */
const chunkTag = 0x12;

/**
 * What the generated code writes, with one copy of a state's bytes instead of several: they are nearly all that is sent,
 * and what is allocated for them the application's garbage collection has to find again.
 */
export function encodeResponse(response: CaptureResponse): Buffer {
  const { body } = response;
  if (body?.$case !== "stateChunk") return Buffer.from(CaptureResponse.encode(response).finish());
  const chunk = body.value;
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
