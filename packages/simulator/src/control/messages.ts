import type { ClosedEvidence, CutEvidence, SnapshotRef } from "@cutline/protocol";
import type { FrameTraits } from "../data/connection.ts";
import type { Peer } from "../data/wire.ts";

export interface StartMessage {
  readonly ref: SnapshotRef;
  readonly remainingMs: number;
  readonly store: boolean;
}

export interface DirectoryMessage {
  readonly version: number;
  readonly processes: readonly Peer[];
}

/** What travels between an agent and a coordinator. */
export type ControlMessage =
  | { readonly type: "hello"; readonly self: Peer; readonly open: readonly SnapshotRef[] }
  | { readonly type: "cut"; readonly ref: SnapshotRef; readonly report: CutEvidence }
  | { readonly type: "channel"; readonly ref: SnapshotRef; readonly report: ClosedEvidence }
  | { readonly type: "captureFailed"; readonly ref: SnapshotRef; readonly code: string }
  | { readonly type: "leaving" }
  | {
      readonly type: "welcome";
      readonly running: readonly StartMessage[];
      readonly directory: DirectoryMessage | undefined;
    }
  | { readonly type: "directory"; readonly directory: DirectoryMessage }
  | { readonly type: "start"; readonly start: StartMessage }
  | { readonly type: "end"; readonly ref: SnapshotRef; readonly phase: string };

export type Report = Extract<ControlMessage, { type: "cut" | "channel" | "captureFailed" }>;

export const controlTraits: FrameTraits<ControlMessage> = { bytesOf: () => 100, kindOf: () => "handshake" };

/** What an agent offers to be stored. */
export interface PartOffer {
  readonly ref: SnapshotRef;
  readonly kind: "local" | "calls" | "channel" | "outbox";
  readonly owner: string;
  readonly self: Peer;
  readonly content: string;
}

/** `notWanted`: maybe another coordinator wants it. `again`: nothing came of it. */
export type UploadOutcome = "stored" | "notWanted" | "again";
