import type { FrameNumber } from "../numbers.ts";

/** `duplicate`: drop it, it came before. `gap`: the connection is broken by a protocol error; nothing may be taken. */
export type ReceiveOutcome = "next" | "duplicate" | "gap";

export interface AcknowledgeLimits {
  /** An acknowledgement goes out after this many bytes or frames, or this long. */
  readonly acknowledgeBytes: number;
  readonly acknowledgeFrames: number;
  readonly acknowledgeDelayMs: number;
}

/** The receiving end of one channel below the numbering: lets each number pass once and in order. */
export class LinkReceiver {
  #receivedThrough: FrameNumber = 0;
  #acknowledged: FrameNumber = 0;
  #unacknowledgedBytes = 0;
  #connection = 0;

  /**
   * The dialler's count of its connections for this link. `stale`: a later one has been taken already; this one came
   * late, what it says of received frames is of the past, and it must not take the link's connection away.
   */
  admit(connection: number): "newer" | "stale" {
    if (connection <= this.#connection) return "stale";
    this.#connection = connection;
    return "newer";
  }

  receive(number: FrameNumber, bytes: number): ReceiveOutcome {
    if (number <= this.#receivedThrough) return "duplicate";
    if (number !== this.#receivedThrough + 1) return "gap";
    this.#receivedThrough = number;
    this.#unacknowledgedBytes += bytes;
    return "next";
  }

  /** After a frame has been taken in: `now`, or when `acknowledgeDelayMs` are over since the first that is not told. */
  acknowledgeWhen({ acknowledgeBytes, acknowledgeFrames }: AcknowledgeLimits): "now" | "delayed" {
    const isDue = this.#unacknowledgedBytes >= acknowledgeBytes || this.unacknowledgedFrames >= acknowledgeFrames;
    return isDue ? "now" : "delayed";
  }

  /** The number to acknowledge now; the caller sends it, or has told it in its greeting. */
  takeAcknowledgement(): FrameNumber {
    this.#acknowledged = this.#receivedThrough;
    this.#unacknowledgedBytes = 0;
    return this.#receivedThrough;
  }

  get receivedThrough(): FrameNumber {
    return this.#receivedThrough;
  }

  get unacknowledgedFrames(): number {
    return this.#receivedThrough - this.#acknowledged;
  }

  get unacknowledgedBytes(): number {
    return this.#unacknowledgedBytes;
  }
}
