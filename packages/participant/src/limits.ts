/** What version of `proto/cutline/v1/participant.proto` this SDK speaks. */
export const protocolVersion = 1;

export const sdkName = "@cutline/participant/0.1.0";

/** The contract's limit for one `state_chunk`, in bytes. */
export const stateChunkBytesMax = 256 * 1024;

/** Taken when a capture request names no limit (0), in bytes. */
export const stateBytesMaxDefault = 1024 * 1024 * 1024;

/** Taken when a capture request names no deadline (0), in milliseconds. */
export const captureDeadlineMsDefault = 5_000;

/** No capture keeps sections waiting for longer than this, whatever the agent asks for, in milliseconds. */
export const captureDeadlineMsMax = 60_000;

/** Captures that wait for their instant or send their state, together. */
export const capturesMax = 16;

/** `Receipts` streams open at once. One agent needs one; a second one overlaps it when the agent connects anew. */
export const receiptStreamsMax = 4;

/** How often receipts are sent when nothing else asks for it, in milliseconds. */
export const receiptIntervalMsDefault = 100;

/** So many ended outgoing calls, or messages received on streams, send the receipts at once. */
export const receiptEventsMax = 256;

/** Ids and positions in one receipts message; what is over goes into the next one. */
export const receiptEntriesMax = 4_096;

/** Ids of begun calls above the first one that has not begun. Beyond it the gap counts as begun: see `BegunIds`. */
export const begunSparseMax = 100_000;

/** Ids in one `Settle` request. */
export const settleIdsMax = 4_096;

/** So many of the settled ids that never arrived are remembered at least, and at most twice as many: see `SettledIds`. */
export const settledKept = 100_000;

/** Ids an agent may give after its `first_call_id`. */
export const callIdsPerIncarnation = 2 ** 32;

/** How many sections the message about a missed deadline names. */
export const holdersNamedMax = 5;

/** From the point of a capture to the first bytes of its state; other processes here may be waiting for theirs. */
export const pointAheadMs = 20;
