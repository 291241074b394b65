import type { Reason } from "@cutline/proto/snapshot";
import type { ChannelRecords } from "./recorder.ts";
import type { Spool } from "./spool.ts";

/** What one capture found, beside the numbers that the protocol has. */
export interface CaptureResult {
  readonly exact: boolean;
  readonly reasons: readonly Reason[];
  /** How long traffic was held. */
  readonly pauseUs: number;
  /** Of it, waiting for the application's sections. */
  readonly lockWaitUs: number;
  /** The application's epoch that ended; 0 where there is none. */
  readonly epoch: number;
  /** By outgoing channel; channels without an outbox are left out. */
  readonly outboxes: ReadonlyMap<string, ChannelRecords>;
  /** `CallInProcess` messages, each behind its length as a varint. */
  readonly callsInProcess: readonly Uint8Array[];
  readonly state: CapturedState;
}

export interface CapturedState {
  readonly contentType: string;
  /** Resolves when the state has come in whole. Rejects with a `CaptureError`. */
  readonly bytes: Promise<Spool>;
}
