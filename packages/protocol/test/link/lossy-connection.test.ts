import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type KeptFrame, LinkReceiver, LinkSender } from "@cutline/protocol";
import fc from "fast-check";

const keptFramesMax = 16;

/**
 * One direction of a link over connections that break: what is on its way when one breaks is lost, from any point on.
 * Frames and acknowledgements may be doubled, and acknowledgements of an earlier connection may come late.
 */
class LossyLink {
  readonly sender = new LinkSender<string>();
  readonly receiver = new LinkReceiver();
  readonly sent: string[] = [];
  readonly passed: string[] = [];
  readonly seen = { duplicates: 0, stale: 0, replayed: 0, full: 0 };
  #frames: KeptFrame<string>[] = [];
  #acknowledgements: number[] = [];
  readonly #late: number[] = [];

  send(): void {
    // The bound is the caller's: it looks before it numbers a frame.
    if (this.sender.keptFrames >= keptFramesMax) {
      this.seen.full += 1;
      return;
    }
    const number = this.sender.lastNumber + 1;
    const frame = `frame ${number}`;
    this.sender.keep(number, frame.length, frame);
    this.sent.push(frame);
    this.#frames.push({ number, bytes: frame.length, frame });
  }

  arrive(): void {
    const frame = this.#frames.shift();
    if (frame === undefined) return;
    const outcome = this.receiver.receive(frame.number, frame.bytes);
    assert.notEqual(outcome, "gap", "a connection loses its end only, so there is never a gap");
    if (outcome === "next") this.passed.push(frame.frame);
    else this.seen.duplicates += 1;
  }

  acknowledge(): void {
    this.#acknowledgements.push(this.receiver.takeAcknowledgement());
  }

  acknowledgementArrives(): void {
    const through = this.#acknowledgements.shift();
    if (through !== undefined) this.#take(through);
  }

  lateAcknowledgementArrives(): void {
    const through = this.#late.shift();
    if (through !== undefined) this.#take(through);
  }

  doubleFrame(): void {
    const first = this.#frames[0];
    if (first !== undefined) this.#frames.unshift(first);
  }

  doubleAcknowledgement(): void {
    const first = this.#acknowledgements[0];
    if (first !== undefined) this.#acknowledgements.unshift(first);
  }

  /** The connection breaks and is resumed: what the receiver says it has acknowledges, and the sender replays the rest. */
  breakAndResume(): void {
    this.#late.push(...this.#acknowledgements);
    this.#acknowledgements = [];
    const replay = this.sender.replay(this.receiver.takeAcknowledgement());
    assert(replay !== undefined, "the receiver claims nothing impossible");
    this.#frames = [...replay];
    this.seen.replayed += replay.length;
  }

  settle(): void {
    this.breakAndResume();
    while (this.#frames.length > 0) this.arrive();
    this.acknowledge();
    this.acknowledgementArrives();
  }

  #take(through: number): void {
    const outcome = this.sender.acknowledge(through);
    assert.notEqual(outcome, "beyond", "the receiver acknowledges nothing that was not sent");
    if (outcome === "stale") this.seen.stale += 1;
  }
}

describe("a link over a lossy connection", () => {
  it("passes every frame exactly once and in order, and keeps no more than it may", () => {
    const total = { duplicates: 0, stale: 0, replayed: 0, full: 0 };
    const event = fc.constantFrom(
      ...(["send", "send", "send", "arrive", "arrive", "acknowledge", "acknowledgementArrives"] as const),
      ...(["lateAcknowledgementArrives", "doubleFrame", "doubleAcknowledgement", "breakAndResume"] as const),
    );
    fc.assert(
      fc.property(fc.array(event, { minLength: 10, maxLength: 300, size: "max" }), (events) => {
        const link = new LossyLink();
        for (const name of events) {
          link[name]();
          assert.deepEqual(link.passed, link.sent.slice(0, link.passed.length), "in order, none twice, none left out");
          assert(link.sender.keptFrames <= keptFramesMax);
          assert(link.receiver.unacknowledgedFrames <= link.sender.keptFrames, "what is not acknowledged is kept");
        }
        link.settle();
        assert.deepEqual(link.passed, link.sent);
        assert.deepEqual([link.sender.keptFrames, link.sender.keptBytes], [0, 0]);
        for (const [what, count] of Object.entries(link.seen)) total[what as keyof typeof total] += count;
      }),
      { numRuns: 1_000 },
    );
    for (const [what, count] of Object.entries(total)) assert(count > 50, `only ${count} ${what} were seen`);
  });
});
