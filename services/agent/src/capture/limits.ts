export interface CaptureLimits {
  /** From the freeze to the application's point, or one reading of its state. Default 5 s. */
  readonly captureTimeoutMs: number;
  /** From the point until everything sent before it has come out of the application's sockets. Default 2 s. */
  readonly settleTimeoutMs: number;
  /** Boundary: calls in process may take so long to finish before each try. Default 300 ms. */
  readonly drainTimeoutMs: number;
  /** Boundary: nothing may cross for so long after a reading. Default 20 ms. */
  readonly guardMs: number;
  /** Boundary: tries before the state is taken with `exact: false`. Default 3. */
  readonly triesMax: number;
  /** Largest local state. Default 1 GiB. */
  readonly stateBytesMax: number;
  /** Of one local state, in memory; what is over goes to a temporary file. Default 4 MiB. */
  readonly stateMemoryBytesMax: number;
  /** Frames kept for channel states, all snapshots together. Default 256 MiB. */
  readonly recordedBytesMax: number;
  /** Captures that wait for their turn. Default 16. */
  readonly waitingMax: number;
}

export const defaultCaptureLimits: CaptureLimits = {
  captureTimeoutMs: 5_000,
  settleTimeoutMs: 2_000,
  drainTimeoutMs: 300,
  guardMs: 20,
  triesMax: 3,
  stateBytesMax: 1024 * 1024 * 1024,
  stateMemoryBytesMax: 4 * 1024 * 1024,
  recordedBytesMax: 256 * 1024 * 1024,
  waitingMax: 16,
};
