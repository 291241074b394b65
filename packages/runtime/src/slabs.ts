import { releasedMemory } from "./released-memory.ts";

/** Of one slab. */
export const slabBytes = 64 * 1024;

/** Slabs that wait for their next use, of the whole process. 8 MiB. */
const freeSlabsMax = 128;

const free: Buffer[] = [];

/**
 * Memory for what is sent. What is allocated for every turn of the event loop instead counts as external memory, and
 * makes V8 look through the whole heap ten times a second at full load.
 */
export function takeSlab(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(slabBytes);
}

/** Nobody may refer to the slab any more: neither a write that has not ended nor anybody who would send it again. */
export function returnSlab(slab: Buffer): void {
  releasedMemory.onReleased?.(slab);
  if (free.length < freeSlabsMax) free.push(slab);
}
