import type { SnapshotRef } from "@cutline/protocol";
import type { CaptureResult } from "./result.ts";

/**
 * Makes the cut in the protocol, at this very instant: between the capture's own bookkeeping and this call no event of
 * traffic may pass.
 */
export type Commit = (result: CaptureResult) => void;

/** One way to capture an application. Traffic flows again when `cut` has settled, whatever came of it. */
export interface Cutter {
  /** Calls `commit` once, or rejects with a `CaptureError`. */
  cut(ref: SnapshotRef, commit: Commit, signal: AbortSignal): Promise<void>;
}
