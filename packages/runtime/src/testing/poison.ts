import { releasedMemory } from "../released-memory.ts";

/** What stands in memory that was released. No text, no length of a frame that is allowed, no gRPC flag. */
export const poisonByte = 0xdb;

/**
 * For tests. From now on this process overwrites the buffer that all sockets are read into as soon as the receiver of a
 * read has returned, and every slab as soon as it may be used again. Who kept a view of one of them finds
 * {@link poisonByte} in it at once, and not another call's bytes once in a long while.
 */
export function poisonReleasedMemory(): void {
  releasedMemory.onReleased = (memory) => memory.fill(poisonByte);
}
