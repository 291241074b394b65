/**
 * Who is told of memory that will be used again: from here on nobody may refer to what stands in it. Nobody is, but in
 * tests, which overwrite it (`testing.ts`).
 */
export const releasedMemory: { onReleased: ((memory: Buffer) => void) | undefined } = { onReleased: undefined };
