import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LinkReceiver, LinkSender } from "@cutline/protocol";

const frameBytes = 10;

function senderWith(frames: number): LinkSender<string> {
  const sender = new LinkSender<string>();
  for (let number = 1; number <= frames; number += 1) sender.keep(number, frameBytes, `frame ${number}`);
  return sender;
}

describe("the sending end of a channel", () => {
  it("keeps frames until they are acknowledged", () => {
    const sender = senderWith(3);
    assert.deepEqual([sender.keptFrames, sender.keptBytes, sender.lastNumber], [3, 30, 3]);
    assert.equal(sender.acknowledge(2), "acknowledged");
    assert.deepEqual([sender.keptFrames, sender.keptBytes, sender.lastNumber], [1, 10, 3]);
  });

  it("takes a late or repeated acknowledgement for stale, and drops nothing for it", () => {
    const sender = senderWith(3);
    sender.acknowledge(2);
    for (const through of [0, 1, 2]) assert.equal(sender.acknowledge(through), "stale");
    assert.equal(sender.keptFrames, 1);
  });

  it("takes an acknowledgement of what was never sent for a protocol error, and drops nothing for it", () => {
    const sender = senderWith(3);
    assert.equal(sender.acknowledge(4), "beyond");
    assert.equal(sender.keptFrames, 3);
  });

  it("replays what the peer has yet to get, in order, as often as it is asked", () => {
    const sender = senderWith(4);
    sender.acknowledge(1);
    const expected = [
      { number: 3, bytes: 10, frame: "frame 3" },
      { number: 4, bytes: 10, frame: "frame 4" },
    ];
    assert.deepEqual(sender.replay(2), expected);
    assert.deepEqual(sender.replay(2), expected);
    assert.deepEqual(sender.replay(4), []);
    assert.equal(sender.keptBytes, 0);
  });

  it("has nothing to replay for a peer that claims the impossible", () => {
    const sender = senderWith(4);
    sender.acknowledge(2);
    assert.equal(sender.replay(1), undefined, "it acknowledged 2 and has only 1: another incarnation");
    assert.equal(sender.replay(5), undefined, "5 was never sent");
    assert.equal(sender.keptFrames, 2);
  });

  it("keeps numbers without gaps", () => {
    const sender = senderWith(2);
    for (const number of [0, 2, 4]) assert.throws(() => sender.keep(number, frameBytes, "x"), RangeError);
    assert.equal(sender.keptFrames, 2);
  });

  it("forgets what is acknowledged, also over many frames", () => {
    const sender = new LinkSender<string>();
    for (let number = 1; number <= 10_000; number += 1) {
      sender.keep(number, frameBytes, `frame ${number}`);
      if (number > 3) sender.acknowledge(number - 3);
      assert.equal(sender.keptFrames, Math.min(number, 3));
      assert.equal(sender.keptBytes, Math.min(number, 3) * frameBytes);
    }
    assert.deepEqual(
      sender.replay(9_998)?.map(({ number }) => number),
      [9_999, 10_000],
    );
  });
});

describe("the receiving end of a channel", () => {
  it("lets each number pass once and in order", () => {
    const receiver = new LinkReceiver();
    assert.equal(receiver.receive(1, frameBytes), "next");
    assert.equal(receiver.receive(1, frameBytes), "duplicate");
    assert.equal(receiver.receive(3, frameBytes), "gap");
    assert.equal(receiver.receive(2, frameBytes), "next");
    assert.equal(receiver.receivedThrough, 2);
  });

  it("counts what it has not acknowledged, and duplicates and gaps do not count", () => {
    const receiver = new LinkReceiver();
    receiver.receive(1, 7);
    receiver.receive(2, 8);
    receiver.receive(2, 8);
    receiver.receive(9, 8);
    assert.deepEqual([receiver.unacknowledgedFrames, receiver.unacknowledgedBytes], [2, 15]);
    assert.equal(receiver.takeAcknowledgement(), 2);
    assert.deepEqual([receiver.unacknowledgedFrames, receiver.unacknowledgedBytes], [0, 0]);
    assert.equal(receiver.takeAcknowledgement(), 2, "asking again says the same");
  });
});

describe("acknowledging", () => {
  const limits = { acknowledgeBytes: 100, acknowledgeFrames: 4, acknowledgeDelayMs: 50 };

  it("waits for the delay, for so many frames, or for so many bytes", () => {
    const receiver = new LinkReceiver();
    const after = (number: number, bytes: number) => {
      assert.equal(receiver.receive(number, bytes), "next");
      return receiver.acknowledgeWhen(limits);
    };
    assert.deepEqual([after(1, 1), after(2, 1), after(3, 1), after(4, 1)], ["delayed", "delayed", "delayed", "now"]);
    assert.equal(receiver.takeAcknowledgement(), 4);
    assert.deepEqual([after(5, 99), after(6, 1)], ["delayed", "now"]);
    assert.equal(receiver.takeAcknowledgement(), 6);
    assert.equal(after(7, 99), "delayed", "what was acknowledged does not count again");
  });
});
