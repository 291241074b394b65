import type { FrameNumber } from "../numbers.ts";

/** What the sending end keeps of a frame until the peer has acknowledged it. */
export interface KeptFrame<T> {
  readonly number: FrameNumber;
  readonly bytes: number;
  readonly frame: T;
}

export type AcknowledgeOutcome = "acknowledged" | "stale" | "beyond";

/**
 * The sending end of one channel below the numbering: keeps frames until they are acknowledged and replays them after a
 * reconnect. Bounded by its caller, who looks at {@link LinkSender.keptBytes} before numbering a frame; markers are
 * always taken.
 */
export class LinkSender<T> {
  // The frame numbered `acknowledged + 1 + i` stands at `head + i` of both.
  #frames: (T | undefined)[] = [];
  #frameBytes: number[] = [];
  #head = 0;
  #keptBytes = 0;
  #lastNumber: FrameNumber = 0;
  #acknowledged: FrameNumber = 0;

  /** Frames are kept in the order of their numbers, without gaps. Throws `RangeError` otherwise. */
  keep(number: FrameNumber, bytes: number, frame: T): void {
    if (number !== this.#lastNumber + 1) throw new RangeError(`frame ${number} kept after ${this.#lastNumber}`);
    this.#lastNumber = number;
    this.#frames.push(frame);
    this.#frameBytes.push(bytes);
    this.#keptBytes += bytes;
  }

  /** Drops all frames up to `through`. `beyond`: the peer acknowledges what was never sent, a protocol error. */
  acknowledge(through: FrameNumber): AcknowledgeOutcome {
    if (through > this.#lastNumber) return "beyond";
    if (through <= this.#acknowledged) return "stale";
    const drop = through - this.#acknowledged;
    for (let i = 0; i < drop; i += 1) {
      this.#keptBytes -= this.#frameBytes[this.#head] ?? 0;
      this.#frames[this.#head] = undefined;
      this.#head += 1;
    }
    this.#acknowledged = through;
    if (this.#head > 1024 && this.#head * 2 > this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head);
      this.#frameBytes = this.#frameBytes.slice(this.#head);
      this.#head = 0;
    }
    return "acknowledged";
  }

  /** What the peer, having received up to `receivedThrough`, has yet to get. `undefined`: it claims the impossible. */
  replay(receivedThrough: FrameNumber): readonly KeptFrame<T>[] | undefined {
    if (receivedThrough > this.#lastNumber || receivedThrough < this.#acknowledged) return undefined;
    this.acknowledge(receivedThrough);
    const kept: KeptFrame<T>[] = [];
    for (let at = this.#head; at < this.#frames.length; at += 1) {
      const frame = this.#frames[at] as T;
      kept.push({ number: this.#acknowledged + 1 + at - this.#head, bytes: this.#frameBytes[at] ?? 0, frame });
    }
    return kept;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  get keptFrames(): number {
    return this.#frames.length - this.#head;
  }

  /** All frames up to here have been acknowledged; 0: none. */
  get acknowledgedThrough(): FrameNumber {
    return this.#acknowledged;
  }

  get lastNumber(): FrameNumber {
    return this.#lastNumber;
  }
}
