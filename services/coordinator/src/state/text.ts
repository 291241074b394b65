export type StateEncoding = "utf8" | "base64";

/** Whether bytes of this media type are worth showing as text. They may still turn out not to be UTF-8. */
export function isTextType(contentType: string): boolean {
  const type = (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();
  return type.startsWith("text/") || /^application\/([a-z0-9.-]+\+)?(json|xml|yaml|x-ndjson)$/.test(type);
}

/** Reads the stream to its end unless it finds bytes that are not UTF-8. */
export async function isUtf8(chunks: AsyncIterable<Uint8Array>): Promise<boolean> {
  try {
    for await (const _text of utf8Pieces(chunks)) {
      // Only whether it decodes matters.
    }
    return true;
  } catch (error) {
    if (error instanceof TypeError && "code" in error && error.code === "ERR_ENCODING_INVALID_ENCODED_DATA") {
      return false;
    }
    throw error;
  }
}

/** Text whose UTF-8 encoding is exactly the bytes, a byte order mark included. Rejects with a TypeError otherwise. */
export async function* utf8Pieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    if (text !== "") {
      yield text;
    }
  }
  decoder.decode();
}

/** Each piece is base64 on its own, and all of them joined are too: only the last one is padded. */
export async function* base64Pieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const bytes =
      rest.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length) : Buffer.concat([rest, chunk]);
    const whole = bytes.length - (bytes.length % 3);
    if (whole > 0) {
      yield bytes.toString("base64", 0, whole);
    }
    rest = Buffer.from(bytes.subarray(whole));
  }
  if (rest.length > 0) {
    yield rest.toString("base64");
  }
}
