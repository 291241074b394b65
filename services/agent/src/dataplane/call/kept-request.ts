/** The first request message of a call, or its beginning, to describe the call while its handler stands in the process. */
export class KeptRequest {
  readonly #bytesMax: number;
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;
  truncated = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  keep(piece: Uint8Array): void {
    this.truncated ||= this.#bytes + piece.length > this.#bytesMax;
    if (this.truncated) return;
    this.#bytes += piece.length;
    this.#pieces.push(piece);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}
