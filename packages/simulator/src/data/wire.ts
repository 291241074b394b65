import type { LinkGreeting, LinkParty, SnapshotRef } from "@cutline/protocol";
import type { Unit } from "../checkers/history.ts";
import type { FrameTraits } from "./connection.ts";

/** A frame that has a number on its channel. */
export type NumberedFrame =
  | {
      readonly type: "piece";
      readonly number: number;
      readonly bytes: number;
      readonly callId: number;
      readonly piece: number;
      readonly unit: Unit;
      /** With a call's opening: what its callee will do. */
      readonly script: unknown;
    }
  | { readonly type: "marker"; readonly number: number; readonly bytes: number; readonly ref: SnapshotRef };

export interface Peer {
  readonly process: string;
  readonly inc: string;
}

/** As the protocol names it. */
export function partyOf({ process, inc }: Peer): LinkParty {
  return { processId: process, incarnation: inc };
}

/** What travels on a connection. */
export type WireFrame =
  | NumberedFrame
  | { readonly type: "acknowledge"; readonly number: number }
  | { readonly type: "credit"; readonly callId: number; readonly grantedBytes: number }
  | { readonly type: "hello"; readonly lane: string; readonly greeting: LinkGreeting }
  | { readonly type: "welcome"; readonly from: LinkParty; readonly receivedThrough: number }
  | { readonly type: "refusal"; readonly code: string };

export const wireTraits: FrameTraits<WireFrame> = {
  bytesOf: (frame) => (frame.type === "piece" || frame.type === "marker" ? frame.bytes : 24),
  kindOf({ type }) {
    if (type === "hello" || type === "welcome" || type === "refusal") return "handshake";
    return type === "acknowledge" ? "acknowledge" : "data";
  },
};
