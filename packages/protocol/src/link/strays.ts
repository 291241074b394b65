import { mayDeliver, noteDelivery } from "../cut/channels.ts";
import type { IncomingChannel } from "../cut/state.ts";
import type { FrameNumber } from "../numbers.ts";

/**
 * `accounted`: no marker stands before the frame; it counts as delivered. `waits`: it will, when the marker is cut for.
 * `crowded`: it waits, and so much does that the snapshots which hold the channel have to give way, though not from
 * inside of this call. `full`: it waits beyond the limit; a peer that sent it on no call breaks the protocol.
 */
export type StrayOutcome = "accounted" | "waits" | "crowded" | "full";

/** A frame costs so much beside its payload. */
const strayOverheadBytes = 128;

/**
 * Frames of one channel that nobody receives, because their call is over. They are accounted for all the same; those
 * behind a marker wait, and may still be recorded by another snapshot. An honest peer sends no more of them than the
 * calls that ended here had credit for, but calls may end often while a marker waits: from half of `strayBytesMax` on
 * snapshots give way, so that nobody meets the limit who does not send the other half in one go.
 */
export class Strays<F extends { readonly number: FrameNumber }> {
  readonly #channel: IncomingChannel;
  readonly #bytesMax: number;
  readonly #prepare: (frame: F) => void;
  #frames: { readonly frame: F; readonly bytes: number }[] = [];
  #bytes = 0;

  /** `prepare` is called with every frame that has to be kept. */
  constructor(channel: IncomingChannel, strayBytesMax: number, prepare: (frame: F) => void = () => undefined) {
    this.#channel = channel;
    this.#bytesMax = strayBytesMax;
    this.#prepare = prepare;
  }

  take(frame: F, payloadBytes: number): StrayOutcome {
    if (mayDeliver(this.#channel, frame.number) === "deliver") {
      noteDelivery(this.#channel, frame.number);
      return "accounted";
    }
    this.#prepare(frame);
    const bytes = payloadBytes + strayOverheadBytes;
    this.#frames.push({ frame, bytes });
    this.#bytes += bytes;
    if (this.#bytes > this.#bytesMax) return "full";
    return this.#bytes > this.#bytesMax / 2 ? "crowded" : "waits";
  }

  /** After a release: those no longer behind a marker are accounted for, and returned. */
  settle(): readonly F[] {
    const waiting = this.#frames;
    this.#frames = [];
    this.#bytes = 0;
    const accounted: F[] = [];
    for (const entry of waiting) {
      if (mayDeliver(this.#channel, entry.frame.number) === "deliver") {
        noteDelivery(this.#channel, entry.frame.number);
        accounted.push(entry.frame);
      } else {
        this.#frames.push(entry);
        this.#bytes += entry.bytes;
      }
    }
    return accounted;
  }

  get length(): number {
    return this.#frames.length;
  }

  /** With what each frame costs beside its payload. */
  get bytes(): number {
    return this.#bytes;
  }

  *[Symbol.iterator](): Generator<F> {
    for (const { frame } of this.#frames) yield frame;
  }
}
