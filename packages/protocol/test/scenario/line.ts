import assert from "node:assert/strict";
import { LinkReceiver, LinkSender, type SnapshotRef } from "@cutline/protocol";

/** What travels on a channel. A token is an application message that exists once in the whole world. */
export type Frame =
  | { readonly kind: "token"; readonly number: number; readonly token: string }
  | { readonly kind: "marker"; readonly number: number; readonly ref: SnapshotRef };

/**
 * One channel below its numbers: connections that break and are resumed, with frames and acknowledgements on their way.
 * Every connection is the first one until a scenario breaks it.
 */
export class Line {
  readonly seen = { connections: 1, refused: 0, sentAgain: 0, duplicates: 0, gaps: 0, acknowledgements: 0, stale: 0 };
  readonly #sender = new LinkSender<Frame>();
  readonly #receiver = new LinkReceiver();
  /** All frames ever numbered, and how many of them have passed: the truth, whatever the link believes. */
  readonly #numbered: Frame[] = [];
  #passed = 0;
  #frames: Frame[] = [];
  #acknowledgements: number[] = [];
  /** Acknowledgements written to connections that have broken since. */
  readonly #late: number[] = [];
  #broken = false;

  constructor() {
    this.#receiver.admit(this.seen.connections);
  }

  put(frame: Frame): void {
    this.#sender.keep(frame.number, 1, frame);
    this.#numbered.push(frame);
    if (!this.#broken) this.#frames.push(frame);
  }

  get framesOnTheWay(): number {
    return this.#frames.length;
  }

  get keptFrames(): number {
    return this.#sender.keptFrames;
  }

  /** Numbered and not passed on to the receiving process, on their way or not. */
  get notArrived(): readonly Frame[] {
    return this.#numbered.slice(this.#passed);
  }

  /** The next frame reaches the receiving end. A gap breaks the connection. */
  next(): Frame | "nothing" | "duplicate" | "gap" {
    const frame = this.#frames.shift();
    if (frame === undefined) return "nothing";
    const outcome = this.#receiver.receive(frame.number, 1);
    if (outcome === "next") {
      assert.equal(frame, this.#numbered[this.#passed], "every frame passes once and in order");
      this.#passed += 1;
      return frame;
    }
    if (outcome === "gap") {
      this.seen.gaps += 1;
      this.break();
    } else this.seen.duplicates += 1;
    return outcome;
  }

  /** The next frame comes twice, comes behind the one that follows it, or does not come at all. */
  disturb(how: "double" | "swap" | "lose"): void {
    const [first, second] = this.#frames;
    if (first === undefined) throw new RangeError("nothing is on its way");
    if (how === "double") this.#frames.unshift(first);
    else if (how === "lose") this.#frames.shift();
    else if (second === undefined) throw new RangeError("one frame alone cannot be re-ordered");
    else this.#frames.splice(0, 2, second, first);
  }

  acknowledge(): void {
    this.#acknowledgements.push(this.#receiver.takeAcknowledgement());
  }

  acknowledgementArrives(when: "now" | "late"): void {
    const through = (when === "now" ? this.#acknowledgements : this.#late).shift();
    if (through === undefined) throw new RangeError("no acknowledgement is on its way");
    const outcome = this.#sender.acknowledge(through);
    assert.notEqual(outcome, "beyond", "nothing is acknowledged that was not sent");
    this.seen[outcome === "stale" ? "stale" : "acknowledgements"] += 1;
  }

  acknowledgementIsLost(): void {
    if (this.#acknowledgements.shift() === undefined) throw new RangeError("no acknowledgement is on its way");
  }

  /** All that is on its way is lost, in both directions; what stands in buffers of the sender's system may come late. */
  break(): void {
    this.#frames = [];
    this.#late.push(...this.#acknowledgements.splice(0));
    this.#broken = true;
  }

  /** Another connection: the receiver says through where it has come, and the sender sends the rest again. */
  resume(): void {
    this.seen.connections += 1;
    assert.equal(this.#receiver.admit(this.seen.connections), "newer");
    const replay = this.#sender.replay(this.#receiver.takeAcknowledgement());
    assert(replay !== undefined, "the receiver claims nothing impossible");
    this.seen.sentAgain += replay.length;
    this.#frames = replay.map(({ frame }) => frame);
    this.#broken = false;
  }

  /** The greeting of a connection that its dialler has given up reaches the acceptor behind that of a newer one. */
  greetLate(): void {
    assert.equal(this.#receiver.admit(this.seen.connections - 1), "stale");
    this.seen.refused += 1;
  }
}
