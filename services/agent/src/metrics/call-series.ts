import type { CallDirection, CallNames } from "./call-book.ts";

/** A gRPC status code, or one of `statusNames`. */
export type CallStatus = number;

/** Ends of calls beside the gRPC status codes 0 to 16. */
export const statusNames = {
  /** The answer had no gRPC status. */
  none: 17,
  /** Ended by a reset from either side, or with its link. */
  reset: 18,
} as const;

const names = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
  "none",
  "reset",
] as const;

/** `OK`, `UNAVAILABLE`, ..., `none` or `reset`. */
export function statusName(status: CallStatus): string {
  return names[status] ?? "UNKNOWN";
}

/** Upper bounds in seconds. */
export const durationBuckets = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;
const boundsMs = durationBuckets.map((seconds) => seconds * 1_000);

/** What was counted of the calls in one direction with one peer, authority and method. Plain numbers that only grow. */
export class CallSeries {
  readonly direction: CallDirection;
  readonly names: CallNames;
  // The names of the series once more, where the path of every call compares them.
  readonly askedPeer: string;
  readonly askedAuthority: string;
  readonly askedMethod: string;
  begun = 0;
  closed = 0;
  /** Bytes of messages with their prefixes, of calls that are closed: from the application, and to it. */
  sentBytes = 0;
  receivedBytes = 0;
  /** By `CallStatus`. */
  readonly endedBy: number[] = new Array(names.length).fill(0);
  /** One more than bounds: last, those that took longer. */
  readonly durations: number[] = new Array(boundsMs.length + 1).fill(0);
  durationSumMs = 0;

  constructor(direction: CallDirection, names: CallNames) {
    this.direction = direction;
    this.names = names;
    this.askedPeer = names.peer;
    this.askedAuthority = names.authority;
    this.askedMethod = names.method;
  }

  ended(status: CallStatus, durationMs: number): void {
    this.endedBy[status] = (this.endedBy[status] ?? 0) + 1;
    let bucket = 0;
    while (bucket < boundsMs.length && durationMs > (boundsMs[bucket] ?? 0)) bucket += 1;
    this.durations[bucket] = (this.durations[bucket] ?? 0) + 1;
    this.durationSumMs += durationMs;
  }

  get open(): number {
    return this.begun - this.closed;
  }
}
