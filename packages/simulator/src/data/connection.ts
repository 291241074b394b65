import type { Engine, Timer } from "../engine/engine.ts";
import type { Random } from "../engine/random.ts";

/** 0: who dialled; 1: who accepted. */
export type Side = 0 | 1;

export interface ConnectionEnd<F> {
  onFrame(frame: F): void;
  /** Once, and nothing after it. Not called for the side that closed. */
  onClosed(): void;
}

/** How one lane of the network behaves at the moment; faults change it. */
export interface LaneQuality {
  latencyMs: number;
  jitterMs: number;
  /** Below the link: a segment comes twice, or later than those behind it. */
  duplicated: number;
  reordered: number;
  /** Acknowledgements are held back for so long. */
  acknowledgementsLateMs: number;
  up: boolean;
}

/** What a connection needs to know of what it carries. */
export interface FrameTraits<F> {
  bytesOf(frame: F): number;
  /** Segments of a handshake are neither doubled nor overtaken. */
  kindOf(frame: F): "handshake" | "acknowledge" | "data";
}

interface Flight<F> {
  readonly frame: F;
  readonly timer: Timer;
}

interface Pipe<F> {
  lastAtMs: number;
  readonly flights: Flight<F>[];
}

/** One connection: a pipe each way that keeps the order of frames, until it is cut at some byte. */
export class Connection<F> {
  readonly #engine: Engine;
  readonly #random: Random;
  readonly #quality: LaneQuality;
  readonly #traits: FrameTraits<F>;
  readonly #ends: (ConnectionEnd<F> | undefined)[] = [undefined, undefined];
  /** Frames from this side. */
  readonly #pipes: readonly [Pipe<F>, Pipe<F>] = [
    { lastAtMs: 0, flights: [] },
    { lastAtMs: 0, flights: [] },
  ];
  readonly #closed: [boolean, boolean] = [false, false];
  #broken = false;

  constructor(engine: Engine, random: Random, quality: LaneQuality, traits: FrameTraits<F>) {
    this.#engine = engine;
    this.#traits = traits;
    this.#random = random;
    this.#quality = quality;
  }

  bind(side: Side, end: ConnectionEnd<F>): void {
    this.#ends[side] = end;
  }

  send(side: Side, frame: F): void {
    if (this.#closed[side] || this.#broken) return;
    const pipe = this.#pipes[side];
    const { latencyMs, jitterMs, duplicated, reordered, acknowledgementsLateMs } = this.#quality;
    const kind = this.#traits.kindOf(frame);
    let delayMs = latencyMs + this.#random.below(jitterMs + 1);
    if (kind !== "handshake") {
      if (kind === "acknowledge" && acknowledgementsLateMs > 0) {
        this.#fly(side, frame, this.#engine.nowMs + delayMs + this.#random.below(acknowledgementsLateMs));
        return;
      }
      if (this.#random.happens(duplicated)) {
        this.#fly(side, frame, Math.max(pipe.lastAtMs, this.#engine.nowMs + delayMs) + this.#random.below(20));
      }
      if (this.#random.happens(reordered)) {
        delayMs += this.#random.below(20);
        this.#fly(side, frame, this.#engine.nowMs + delayMs);
        return;
      }
    }
    pipe.lastAtMs = Math.max(pipe.lastAtMs, this.#engine.nowMs + delayMs);
    this.#fly(side, frame, pipe.lastAtMs);
  }

  /** This side is done: it hears nothing more; some of what it has sent may still get through. */
  close(side: Side): void {
    if (this.#closed[side]) return;
    this.#closed[side] = true;
    const other: Side = side === 0 ? 1 : 0;
    this.#loseAll(other);
    if (this.#broken) return;
    this.#noticeSoon(other, this.#random.happens(0.5) ? this.#loseTail(side) : this.#last(side));
  }

  /** Both sides lose it, each at its own time; each way a number of bytes still gets through. */
  cut(): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#noticeSoon(1, this.#loseTail(0));
    this.#noticeSoon(0, this.#loseTail(1));
  }

  #fly(from: Side, frame: F, atMs: number): void {
    const pipe = this.#pipes[from];
    const to: Side = from === 0 ? 1 : 0;
    const flight: Flight<F> = {
      frame,
      timer: this.#engine.after(atMs - this.#engine.nowMs, () => {
        pipe.flights.splice(pipe.flights.indexOf(flight), 1);
        if (!this.#closed[to]) this.#ends[to]?.onFrame(frame);
      }),
    };
    pipe.flights.push(flight);
  }

  #noticeSoon(side: Side, afterAtMs: number): void {
    if (this.#closed[side]) return;
    const afterMs = Math.max(0, afterAtMs - this.#engine.nowMs) + this.#random.below(40);
    this.#engine.after(afterMs, () => {
      if (this.#closed[side]) return;
      this.#closed[side] = true;
      this.#ends[side]?.onClosed();
    });
  }

  #last(from: Side): number {
    return this.#pipes[from].flights.reduce((last, { timer }) => Math.max(last, timer.atMs), 0);
  }

  #loseAll(from: Side): void {
    for (const { timer } of this.#pipes[from].flights.splice(0)) timer.cancel();
  }

  /** The cut falls on some byte in flight; a frame that is not whole is lost. Returns when the last one left arrives. */
  #loseTail(from: Side): number {
    const { flights } = this.#pipes[from];
    const total = flights.reduce((sum, { frame }) => sum + this.#traits.bytesOf(frame), 0);
    let left = this.#random.below(total + 1);
    let keep = 0;
    for (const { frame } of flights) {
      left -= this.#traits.bytesOf(frame);
      if (left < 0) break;
      keep += 1;
    }
    for (const { timer } of flights.splice(keep)) timer.cancel();
    return this.#last(from);
  }
}
