/** gRPC over HTTP/2 by hand: as little as the cases need, and nothing of what a library would tidy up. */
import { gunzipSync, gzipSync } from "node:zlib";

const prefixBytes = 5;

export interface Framed {
  /** Decompressed. */
  readonly bytes: Uint8Array;
  readonly flag: 0 | 1;
}

export function frame(bytes: Uint8Array, compression: "gzip" | "none"): Buffer {
  const body = compression === "gzip" ? gzipSync(bytes) : bytes;
  const framed = Buffer.alloc(prefixBytes + body.length);
  framed.writeUInt8(compression === "gzip" ? 1 : 0, 0);
  framed.writeUInt32BE(body.length, 1);
  framed.set(body, prefixBytes);
  return framed;
}

/** Puts messages together from the pieces in which they come. */
export class Deframer {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #wantedBytes = prefixBytes;

  /** Calls `emit` for each message that is complete now. */
  push(chunk: Buffer, emit: (message: Framed) => void): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= this.#wantedBytes) {
      const all = Buffer.concat(this.#chunks);
      const wholeBytes = prefixBytes + all.readUInt32BE(1);
      this.#wantedBytes = wholeBytes;
      this.#chunks = [all];
      if (all.length < wholeBytes) return;
      const flag = all[0] === 1 ? 1 : 0;
      const body = all.subarray(prefixBytes, wholeBytes);
      this.#chunks = [all.subarray(wholeBytes)];
      this.#bytes = all.length - wholeBytes;
      this.#wantedBytes = prefixBytes;
      emit({ bytes: flag === 1 ? gunzipSync(body) : body, flag });
    }
  }

  /** Part of a message is there. */
  get isInsideMessage(): boolean {
    return this.#bytes > 0;
  }
}

/** gRPC over HTTP/2, "Percent-Encoded". */
export function encodeStatusMessage(message: string): string {
  return message.replace(/[^\x20-\x24\x26-\x7e]+/gu, encodeURIComponent);
}

export function decodeStatusMessage(message: string): string {
  return decodeURIComponent(message);
}
