import type { FrameNumber, NumberRange } from "../numbers.ts";
import type { ChannelId, CutTrigger, ProcessId, ProcessState, SnapshotRef } from "./state.ts";

/** What happens to a process. */
export type CutInput =
  /** A link came up: one of each for its two channels, before any frame on them. */
  | { readonly type: "openOutgoing"; readonly channel: ChannelId; readonly peer: ProcessId }
  | { readonly type: "openIncoming"; readonly channel: ChannelId; readonly peer: ProcessId }
  /** The link is dead for ever: nothing more arrives and nothing more can be sent. */
  | { readonly type: "closeChannel"; readonly channel: ChannelId }
  /** The coordinator asks for a cut. */
  | { readonly type: "start"; readonly ref: SnapshotRef; readonly trigger: "start" | "attach" }
  /** The process sends an application frame. */
  | { readonly type: "send"; readonly channel: ChannelId }
  | { readonly type: "frameArrived"; readonly channel: ChannelId; readonly number: FrameNumber }
  | {
      readonly type: "markerArrived";
      readonly channel: ChannelId;
      readonly number: FrameNumber;
      readonly ref: SnapshotRef;
    }
  /** The application has received a frame that arrived earlier. */
  | { readonly type: "delivered"; readonly channel: ChannelId; readonly number: FrameNumber }
  /**
   * The capture asked for by `capture` has been made. Everything the application sent before it is numbered or in the
   * outbox, everything it received before it is `delivered`; `undelivered` are the other frames that have arrived, by
   * channel, in ascending order (frames behind this snapshot's marker may be among them and are left out here).
   */
  | {
      readonly type: "captured";
      readonly ref: SnapshotRef;
      readonly undelivered: ReadonlyMap<ChannelId, readonly FrameNumber[]>;
    }
  | { readonly type: "captureFailed"; readonly ref: SnapshotRef; readonly code: string; readonly message: string }
  /** The attempt is over everywhere: forget it. */
  | { readonly type: "ended"; readonly ref: SnapshotRef };

/**
 * What the shell must do, in exactly this order. The order is part of the protocol:
 * 1. `sendMarker` on every outgoing channel comes before anything else that the cut sets free, so that no later frame
 *    can be numbered in front of a marker (marker sending rule).
 * 2. `record` of frames already here comes before `release`, so that a frame is recorded before it can be delivered.
 * 3. `reportCut` comes before the `reportChannel` of channels that closed before the cut.
 * 4. `release` comes last.
 */
export type CutEffect =
  /** The application frame just sent has this number. */
  | { readonly type: "numbered"; readonly channel: ChannelId; readonly number: FrameNumber }
  | {
      readonly type: "sendMarker";
      readonly channel: ChannelId;
      readonly number: FrameNumber;
      readonly ref: SnapshotRef;
    }
  /** Take the local state; answer with `captured` or `captureFailed`. Waits for nothing outside this process. */
  | { readonly type: "capture"; readonly ref: SnapshotRef; readonly trigger: CutTrigger }
  /** The frame that arrived may go to the application, or must wait for a `release`. */
  | { readonly type: "deliver"; readonly channel: ChannelId; readonly number: FrameNumber }
  | { readonly type: "hold"; readonly channel: ChannelId; readonly number: FrameNumber }
  /** Keep this frame: it belongs to the channel state. */
  | { readonly type: "record"; readonly ref: SnapshotRef; readonly channel: ChannelId; readonly number: FrameNumber }
  | { readonly type: "reportCut"; readonly report: CutFacts }
  | { readonly type: "reportChannel"; readonly report: ChannelFacts }
  | { readonly type: "reportFailed"; readonly ref: SnapshotRef; readonly code: string; readonly message: string }
  /** Held frames below `before` may go on; `before` undefined: all. */
  | { readonly type: "release"; readonly channel: ChannelId; readonly before: FrameNumber | undefined }
  /** Whatever is kept for this attempt may be dropped. */
  | { readonly type: "forget"; readonly ref: SnapshotRef };

/** One process's cut, as the coordinator is told. */
export interface CutFacts {
  readonly ref: SnapshotRef;
  readonly trigger: CutTrigger;
  readonly outgoing: readonly OutgoingFacts[];
  /** Incoming channels that existed at the cut; each is reported when it closes. */
  readonly incoming: readonly ChannelId[];
}

export interface OutgoingFacts {
  readonly channel: ChannelId;
  readonly to: ProcessId;
  readonly sentAtCut: FrameNumber;
  readonly markersSent: number;
  readonly markersSentSum: number;
}

/** One closed channel, as the coordinator is told. */
export interface ChannelFacts {
  readonly ref: SnapshotRef;
  readonly channel: ChannelId;
  readonly from: ProcessId;
  readonly markerNumber: FrameNumber;
  readonly markersReceived: number;
  readonly markersReceivedSum: number;
  readonly deliveredAtCut: number;
  readonly deliveredSum: number;
  readonly deliveredMax: FrameNumber;
  readonly recorded: readonly NumberRange[];
  readonly recordedCount: number;
}

export interface CutStep {
  readonly state: ProcessState;
  readonly effects: readonly CutEffect[];
}
