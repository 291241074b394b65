import type { InboundMemory } from "../link/kept-bytes.ts";
import { type KeptPiece, keepPiece, moveOut, releasePiece } from "./kept-pieces.ts";

/** The first request message of a call, or its beginning, to describe the call while its handler stands in the process. */
export class KeptRequest {
  readonly #bytesMax: number;
  readonly #memory: InboundMemory;
  readonly #pieces: KeptPiece[] = [];
  #bytes = 0;
  truncated = false;

  constructor(bytesMax: number, memory: InboundMemory) {
    this.#bytesMax = bytesMax;
    this.#memory = memory;
  }

  keep(piece: Buffer): void {
    this.truncated ||= this.#bytes + piece.length > this.#bytesMax || this.#memory.isFull;
    if (this.truncated) return;
    this.#bytes += piece.length;
    this.#memory.add(piece.length);
    this.#pieces.push(keepPiece(piece));
  }

  /** From here on it keeps no memory beside its own. */
  unpin(): void {
    for (const piece of this.#pieces) moveOut(piece);
  }

  /** The call is over, and nobody will ask for it. */
  release(): void {
    this.#memory.remove(this.#bytes);
    this.#bytes = 0;
    for (const piece of this.#pieces.splice(0)) releasePiece(piece);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#pieces.map(({ bytes }) => bytes));
  }
}
