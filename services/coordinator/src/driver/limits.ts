import type { AdmissionLimits, UploadLimits } from "@cutline/protocol";

/** The numbers that bound the driver. */
export interface DriverLimits extends AdmissionLimits, UploadLimits {
  /** Snapshots that run at a time. Default 4. */
  readonly concurrentMax: number;
  /** Between two starts. Default 0 ms. */
  readonly minimumPauseMs: number;
  /** When a request names none. Default 30000 ms. */
  readonly timeoutMsDefault: number;
  /** A request may name at most this. Default 3600000 ms. */
  readonly timeoutMsMax: number;
  /** When a request names none. Default 3. */
  readonly attemptsDefault: number;
  /** A request may name at most this. Default 10. */
  readonly attemptsMax: number;
  /** One part. Default 4 GiB. */
  readonly stateBytesMax: number;
  /** All parts of one attempt. Default 64 GiB. */
  readonly snapshotBytesMax: number;
  /** Parts of one attempt. Default 20000. */
  readonly partsMax: number;
  /** Between two writes of a running snapshot's progress. Default 1000 ms. */
  readonly progressMs: number;
  /** Between two looks at the clock. Default 100 ms. */
  readonly tickMs: number;
  /** How long a removal waits for the store to take the end of its snapshot. Default 5000 ms. */
  readonly removeWaitMs: number;
  /** Ended snapshots that are kept; older ones are removed. Default 100. */
  readonly keepMax: number;
  /** Ended snapshots are removed at this age; 0: never. Default 0 ms. */
  readonly keepMs: number;
  /** Between two looks for snapshots nobody drives, and for old ones. Default 10000 ms. */
  readonly housekeepingMs: number;
  /**
   * After a take-over: how long the directory and all attempts wait for the agents to come back; longer than they pause
   * between two tries. Default 5000 ms.
   */
  readonly settleMs: number;
  /** How long a leader leads without renewing. Default 5000 ms. */
  readonly leaseMs: number;
}

export const defaultDriverLimits: DriverLimits = {
  concurrentMax: 4,
  minimumPauseMs: 0,
  timeoutMsDefault: 30_000,
  timeoutMsMax: 3_600_000,
  attemptsDefault: 3,
  attemptsMax: 10,
  stateBytesMax: 4 * 1024 ** 3,
  snapshotBytesMax: 64 * 1024 ** 3,
  partsMax: 20_000,
  progressMs: 1_000,
  tickMs: 100,
  removeWaitMs: 5_000,
  keepMax: 100,
  keepMs: 0,
  housekeepingMs: 10_000,
  settleMs: 5_000,
  leaseMs: 5_000,
};
