import { StateError } from "./errors.ts";

/** Four groups of seven bits are 256 MiB, far above any sensible `recordBytesMax`. */
const lengthShiftMax = 21;

/**
 * Splits a stream into the records that stand in it, each behind its length as a varint. Holds one record at a time.
 * Rejects with {@link StateError}: `StateTooLarge` above `recordBytesMax`, `StateCorrupt` when the stream ends inside
 * a record or a length is malformed.
 */
export async function* readDelimited(
  chunks: AsyncIterable<Uint8Array>,
  recordBytesMax: number,
): AsyncGenerator<Buffer, void, undefined> {
  let length = 0;
  let shift = 0;
  let record: Buffer | undefined;
  let filled = 0;
  for await (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length) {
      if (record === undefined) {
        const byte = chunk[at] ?? 0;
        at += 1;
        length += (byte & 0x7f) * 2 ** shift;
        if (byte >= 0x80) {
          if (shift >= lengthShiftMax) {
            throw new StateError("StateCorrupt", "a stored record has a malformed length");
          }
          shift += 7;
          continue;
        }
        if (length > recordBytesMax) {
          throw new StateError(
            "StateTooLarge",
            `a stored record has ${length} bytes, recordBytesMax is ${recordBytesMax}`,
          );
        }
        record = Buffer.allocUnsafe(length);
        filled = 0;
      }
      const taken = Math.min(record.length - filled, chunk.length - at);
      record.set(chunk.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled === record.length) {
        yield record;
        record = undefined;
        length = 0;
        shift = 0;
      }
    }
  }
  // A record of length 0 at the very end of a chunk was yielded above, because its length byte enters the copy branch.
  if (record !== undefined || shift !== 0) {
    throw new StateError("StateCorrupt", "a stored part ends in the middle of a record");
  }
}
