/** What one reader of a global state may hold in memory. */
export interface StateLimits {
  /** The longest CallInProcess or RecordedFrame that is read. Longer: `StateTooLarge`. */
  readonly recordBytesMax: number;
  /** A message above this is listed without its payload; its frames still carry every byte. */
  readonly messageBytesMax: number;
  /** All messages of one channel that wait for their next piece. What does not fit is listed without its payload. */
  readonly assemblyBytesMax: number;
  /** A payload above this is not decoded to JSON. */
  readonly decodeBytesMax: number;
  /** How many parts are looked up in the store at the same time before a state is read. */
  readonly lookupsMax: number;
}

export const stateLimitsDefault: StateLimits = {
  recordBytesMax: 8 * 1024 * 1024,
  messageBytesMax: 16 * 1024 * 1024,
  assemblyBytesMax: 64 * 1024 * 1024,
  decodeBytesMax: 1024 * 1024,
  lookupsMax: 16,
};
