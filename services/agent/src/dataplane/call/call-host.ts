import type { CallEvents, CallStream, HeaderList } from "@cutline/h2";
import type { CountedCall } from "../../metrics/call-book.ts";
import type { InboundMemory } from "../link/kept-bytes.ts";
import type { Link } from "../link/link.ts";
import type { CallEnd } from "./call-end.ts";
import type { Gate } from "./gate.ts";

export interface CallLimits {
  /**
   * Credit for message bytes that one direction of a call begins with and is topped up to. Part of the link's protocol:
   * both ends must have the same. 256 KiB.
   */
  readonly windowBytes: number;
  /** Whole messages kept for one call because the application may not have received them. Default 4 MiB. */
  readonly keptBytesMax: number;
  /** Read from the application and waiting for credit, with 128 bytes for each piece, before its stream is paused. Default 256 KiB. */
  readonly waitingBytesMax: number;
  /** Largest message, without its prefix. Default 64 MiB. */
  readonly messageBytesMax: number;
  /** First request message kept to describe a call in process. Default 64 KiB. */
  readonly requestKeptBytesMax: number;
}

export const defaultCallLimits: CallLimits = {
  windowBytes: 256 * 1024,
  keptBytesMax: 4 * 1024 * 1024,
  waitingBytesMax: 256 * 1024,
  messageBytesMax: 64 * 1024 * 1024,
  requestKeptBytesMax: 64 * 1024,
};

/** What a call needs of the agent around it. */
export interface CallHost {
  readonly gate: Gate;
  readonly memory: InboundMemory;
  readonly limits: CallLimits;
  /** True: a handed frame counts as received only when the application has said so. */
  readonly confirmsReceipt: boolean;
  /** Whether calls may be handed to the application now; a call that may not is pumped again later. */
  readonly applicationReady: boolean;
  /** Why the application cannot be reached, where it cannot. */
  readonly applicationError: string | undefined;
  /** Begins to count a call. */
  countCall(role: CallRole, link: Link, headers: CallHeaders): CountedCall;
  /** Callee: opens the call towards the application. */
  openToApplication(call: CallEnd, headers: HeaderList, events: CallEvents): CallStream;
  /** The call was reset before the application was known to have received it; answer with `settled`. */
  onUnsettled(call: CallEnd): void;
  /** The call was reset while its handler may have been at work. */
  onCancelled(call: CallEnd): void;
  /** The application was given the end of an answer of several messages. */
  onStreamAnswered(): void;
  /** The agent has ended a call that the application made, with a status of its own. */
  onAnsweredByAgent(call: CallEnd): void;
  /** The call needs nothing more and has left its link's table. */
  onFinished(call: CallEnd): void;
}

/** `caller`: beside the application that made the call. `callee`: beside the one that serves it. */
export type CallRole = "caller" | "callee";

/** What the application and its agent call the call. */
export interface ApplicationNames {
  /** `undefined`: the application gave none. */
  readonly id: number | undefined;
  readonly epoch: number;
}

export interface CallHeaders {
  readonly list: HeaderList;
  readonly authority: string;
  readonly method: string;
  readonly isGrpc: boolean;
}
