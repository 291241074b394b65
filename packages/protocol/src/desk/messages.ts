import type { ChannelId, SnapshotRef } from "../cut/state.ts";
import type { OwedPart, SaidReport } from "./state.ts";

/**
 * What a desk is told. `R` are reports and `P` the contents of parts, which it only keeps and gives back. Times are of
 * one clock of the process; ones that go back only make attempts last longer.
 */
export type DeskInput<R, P> =
  /** A marker told of the attempt before the coordinator did. */
  | { readonly type: "noticed"; readonly ref: SnapshotRef; readonly nowMs: number }
  /** The coordinator told of it. `store` false: what was uploaded before is broken off and dropped. */
  | {
      readonly type: "begun";
      readonly ref: SnapshotRef;
      readonly store: boolean;
      readonly remainingMs: number;
      readonly nowMs: number;
    }
  | {
      readonly type: "cut";
      readonly ref: SnapshotRef;
      readonly report: R;
      readonly parts: readonly P[];
      readonly nowMs: number;
    }
  /** `recordedCount` frames are in flight on the channel; of `keptCount` the records are in `part`. */
  | {
      readonly type: "channelClosed";
      readonly ref: SnapshotRef;
      readonly channel: ChannelId;
      readonly recordedCount: number;
      readonly keptCount: number;
      readonly report: R;
      readonly part: P;
      readonly nowMs: number;
    }
  /** Nothing else is said of the attempt any more, and its parts are dropped. */
  | { readonly type: "failed"; readonly ref: SnapshotRef; readonly report: R; readonly nowMs: number }
  /** The process's own share is over. A failure is kept and repeated until the coordinator says that the attempt has ended. */
  | { readonly type: "forget"; readonly ref: SnapshotRef }
  /** The coordinator says that the attempt has ended: everything of it is dropped. */
  | { readonly type: "ended"; readonly ref: SnapshotRef }
  /** The coordinator has welcomed the process: everything is said again, for it may be another one. */
  | { readonly type: "welcomed" }
  | PartEnded<P>
  | { readonly type: "tick"; readonly nowMs: number };

export type PartEnded<P> =
  | { readonly type: "partEnded"; readonly part: OwedPart<P>; readonly outcome: "stored" | "notWanted" }
  | {
      readonly type: "partEnded";
      readonly part: OwedPart<P>;
      /** It will not come, and the coordinator waits for it. */
      readonly outcome: "failed";
      readonly code: string;
      readonly message: string;
    };

/** To be performed in this order. */
export type DeskEffect<R, P> =
  /** Note in `said` whether it was sent. */
  | { readonly type: "send"; readonly said: SaidReport<R> }
  /** Goes on until the part is stored, not wanted or failed (`partEnded`), or released. */
  | { readonly type: "upload"; readonly part: OwedPart<P> }
  /** The content is not needed any more; an upload of it that is under way is broken off. */
  | { readonly type: "release"; readonly content: P }
  /** This process cannot give what the attempt needs: its capture fails, though not from inside of this step. */
  | { readonly type: "giveUp"; readonly ref: SnapshotRef; readonly code: string; readonly message: string }
  /** Nobody said in time that the attempt has ended: it is taken as ended. */
  | { readonly type: "expired"; readonly ref: SnapshotRef };
