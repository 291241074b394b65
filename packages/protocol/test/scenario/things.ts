import type { ChannelFacts, ChannelId, CutFacts, ProcessId, ProcessState, SnapshotRef } from "@cutline/protocol";
import type { Frame, Line } from "./line.ts";

/** One channel: the sender's outbox, and the frames on their way in the order in which they were numbered. */
export interface Wire {
  readonly id: ChannelId;
  readonly from: ProcessId;
  readonly to: ProcessId;
  readonly outbox: string[];
  readonly line: Line;
  state: "open" | "lost";
}

export interface Arrived {
  readonly number: number;
  readonly token: string;
  standing: "ready" | "held";
}

/** What happened, in the order of one clock that no process has. The observer judges by this alone. */
export type WorldEvent =
  | { readonly type: "wrote" | "received"; readonly channel: ChannelId; readonly token: string }
  | { readonly type: "numbered"; readonly channel: ChannelId; readonly frame: Frame }
  | { readonly type: "cut"; readonly process: ProcessId; readonly key: string }
  /** The process is another incarnation from here on: what it did before is no part of its history. */
  | { readonly type: "crashed"; readonly process: ProcessId }
  /** No process will ever hold the token again. It was lost where this process would have received it, or held it. */
  | { readonly type: "lost"; readonly process: ProcessId; readonly token: string }
  /** The token is in the world from here on; all others have been there from the beginning. */
  | { readonly type: "minted"; readonly process: ProcessId; readonly token: string };

/** What one process has handed over for one snapshot. */
export interface LocalPicture {
  readonly incarnation: number;
  cut: CutFacts | undefined;
  readonly channels: Map<ChannelId, ChannelFacts>;
  readonly recorded: Map<ChannelId, { readonly number: number; readonly token: string }[]>;
  readonly outbox: Map<ChannelId, readonly string[]>;
  held: readonly string[];
  failure: string | undefined;
}

export interface Actor {
  readonly id: ProcessId;
  readonly state: ProcessState;
  readonly incarnation: number;
  standing: "here" | "crashed" | "left";
  /** The application's tokens. */
  readonly holding: Set<string>;
  /** Arrived and not received, by channel. */
  readonly inbox: Map<ChannelId, Arrived[]>;
  /** Captures asked for and not answered. */
  readonly capturing: Map<string, SnapshotRef>;
  readonly pictures: Map<string, LocalPicture>;
}
