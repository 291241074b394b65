/**
 * What happened in a world, in the order of one clock that no process has. The checkers judge by this alone: it is
 * written by the world around the protocol and names nothing that the protocol thinks of itself.
 */
export interface History {
  readonly events: Happening[];
  /** Things the application sent, by their number. */
  readonly units: Unit[];
}

/** One thing an application sends on a call. It travels in `pieces` frames. */
export interface Unit {
  readonly id: number;
  readonly channel: string;
  readonly call: string;
  readonly kind: "open" | "message" | "end" | "headers" | "trailers";
  readonly tokens: readonly string[];
  readonly pieces: number;
}

/** A frame as its ends see it: a piece of a unit, or the marker of an attempt (`snapshotId/attempt`). */
export type FrameContent =
  | { readonly unit: number; readonly piece: number; readonly marker?: undefined }
  | { readonly marker: string; readonly unit?: undefined; readonly piece?: undefined };

/** `inc` names one life of one process. */
export type Happening = { readonly atMs: number } & (
  | { readonly type: "born"; readonly inc: string; readonly process: string; readonly tokens: readonly string[] }
  | { readonly type: "gone"; readonly inc: string; readonly how: "crashed" | "left" }
  | { readonly type: "opened" | "lost"; readonly inc: string; readonly channel: string; readonly end: "out" | "in" }
  | { readonly type: "sent"; readonly inc: string; readonly unit: number }
  | {
      readonly type: "numbered" | "arrived";
      readonly inc: string;
      readonly channel: string;
      readonly number: number;
      readonly content: FrameContent;
    }
  | {
      readonly type: "received";
      readonly inc: string;
      readonly channel: string;
      readonly unit: number;
      readonly numbers: readonly number[];
      /** `discarded`: nobody wants it any more; its tokens end here. */
      readonly fate: "taken" | "discarded";
    }
  | { readonly type: "cut"; readonly inc: string; readonly key: string }
  | { readonly type: "granted"; readonly term: number; readonly holder: string }
  /** A write that the store has carried out. */
  | {
      readonly type: "written";
      readonly id: string;
      readonly attempt: number;
      readonly phase: string;
      readonly term: number;
    }
  | { readonly type: "published"; readonly picture: Picture }
  | {
      readonly type: "told";
      readonly by: string;
      readonly id: string;
      readonly attempt: number;
      readonly phase: string;
    }
  | { readonly type: "fault"; readonly what: string }
  /** `completesBy`: so little stands in its way that this attempt has to complete it at the latest; 0: no promise. */
  | { readonly type: "asked"; readonly id: string; readonly completesBy: number }
  /** Processes are asked to cut. */
  | { readonly type: "started"; readonly id: string; readonly attempt: number; readonly term: number }
  /** From here on nothing is disturbed any more. */
  | { readonly type: "calm" }
  | { readonly type: "finished"; readonly outcome: Finish }
);

/** What was published, read from the store as it stood at that instant. */
export interface Picture {
  readonly id: string;
  readonly attempt: number;
  readonly exact: boolean;
  readonly processes: readonly {
    readonly id: string;
    readonly inc: string;
    readonly stored: boolean;
    readonly exact: boolean;
  }[];
  readonly channels: readonly PictureChannel[];
  readonly parts: ReadonlyMap<string, string>;
}

interface PictureChannel {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly sentAtCut: number;
  readonly deliveredAtCut: number;
  readonly recordedCount: number;
  readonly outboxCount: number;
}

/** How the world stood when the run was over. */
export interface Finish {
  /** `exhausted`: the number of events a run may have was used up. */
  readonly reached: "quiet" | "timeOver" | "exhausted";
  readonly documents: readonly {
    readonly id: string;
    readonly attempt: number;
    readonly phase: string;
    readonly reason: string;
  }[];
  readonly processes: readonly {
    readonly inc: string;
    readonly runningSnapshots: readonly string[];
    readonly heldFrames: number;
    readonly waitingUnits: number;
    readonly keptRecords: number;
  }[];
  /** Channels both of whose ends are alive. */
  readonly liveChannels: readonly string[];
  /** Parts that can be read, by snapshot. */
  readonly parts: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

export interface Verdict {
  readonly checker: string;
  readonly message: string;
}
