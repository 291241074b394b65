import { returnSlab, slabBytes, takeSlab } from "@cutline/runtime";

/** Bytes that a call keeps for itself. */
export interface KeptPiece {
  bytes: Buffer;
  /** What they stand in, with pieces of other calls; `undefined`: memory of their own. */
  slab: PieceSlab | undefined;
}

interface PieceSlab {
  readonly buffer: Buffer;
  pieces: number;
}

/** Longer ones are copied into memory of their own. */
const pieceBytesMax = 16 * 1024;

let current: PieceSlab | undefined;
let at = 0;

/** Copies bytes that their owner will soon use otherwise. To be given back to {@link releasePiece}, once. */
export function keepPiece(source: Buffer): KeptPiece {
  const { length } = source;
  if (length > pieceBytesMax) return { bytes: ownCopy(source), slab: undefined };
  if (current === undefined || slabBytes - at < length) {
    current = { buffer: takeSlab(), pieces: 0 };
    at = 0;
  }
  const slab = current;
  source.copy(slab.buffer, at);
  const bytes = slab.buffer.subarray(at, at + length);
  at += length;
  slab.pieces += 1;
  return { bytes, slab };
}

/** Nobody reads the piece any more. */
export function releasePiece({ slab }: KeptPiece): void {
  if (slab === undefined) return;
  slab.pieces -= 1;
  if (slab.pieces > 0) return;
  if (slab === current) at = 0;
  else returnSlab(slab.buffer);
}

/** A piece that is kept for long must not keep a slab. */
export function moveOut(piece: KeptPiece): void {
  if (piece.slab === undefined) return;
  const bytes = ownCopy(piece.bytes);
  releasePiece(piece);
  piece.bytes = bytes;
  piece.slab = undefined;
}

/** Not from the pool, which would be kept in its turn. */
function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
