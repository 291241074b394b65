import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameKind, RecordedFrame } from "@cutline/proto/snapshot";
import fc from "fast-check";
import { createMessageAssembler, type JoinedMessage } from "../../src/state/messages.ts";
import { withPrefix } from "../http/support/bank.ts";
import { LiveMemory } from "../store/live-memory.ts";

const generous = { messageBytesMax: 1 << 20, assemblyBytesMax: 1 << 22 };

function pieces(callId: number, bytes: Buffer, pieceBytes: number): RecordedFrame[] {
  const frames: RecordedFrame[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const payload = bytes.subarray(at, at + pieceBytes);
    const place = { pieceOffsetBytes: at, messageBytes: bytes.length };
    frames.push(
      RecordedFrame.fromPartial({ kind: FrameKind.MESSAGE, callId, method: "/s/M", forward: true, payload, ...place }),
    );
  }
  return frames;
}

function join(frames: readonly RecordedFrame[], limits = generous): JoinedMessage[] {
  const assembler = createMessageAssembler(limits);
  return [...frames.flatMap((frame) => assembler.add(frame, "records") ?? []), ...assembler.end()];
}

describe("the message assembler", () => {
  it("joins the pieces of messages whose pieces stand between each other's", () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(payloads, fc.integer({ min: 1, max: 80 }), fc.infiniteStream(fc.nat()), (list, pieceBytes, picks) => {
        const queues = list.map((payload, callId) => pieces(callId, withPrefix(payload), pieceBytes));
        const mixed: RecordedFrame[] = [];
        while (queues.some((queue) => queue.length > 0)) {
          const waiting = queues.filter((queue) => queue.length > 0);
          const queue = waiting[(picks.next().value ?? 0) % waiting.length];
          mixed.push(...(queue?.splice(0, 1) ?? []));
        }
        const messages = join(mixed).sort((a, b) => a.callId - b.callId);
        assert.deepEqual(
          messages.map((each) => each.payload),
          list.map((each) => Buffer.from(each)),
        );
        assert.ok(messages.every((each) => each.complete && each.source === "records"));
      }),
    );
  });

  it("calls a message incomplete when a piece is missing, doubled, or its prefix does not add up", () => {
    const frames = pieces(1, withPrefix(Buffer.alloc(95, 7)), 10);
    const without = (index: number) => frames.filter((_, each) => each !== index);
    for (const list of [without(0), without(4), without(9), [...frames.slice(0, 4), ...frames.slice(3)]]) {
      const [message, ...others] = join(list);
      assert.equal(message?.complete, false);
      assert.ok(others.every((each) => !each.complete));
    }
    const wrong = withPrefix(Buffer.alloc(20));
    wrong.writeUInt32BE(19, 1);
    assert.equal(join(pieces(1, wrong, 100))[0]?.complete, false);
  });

  it("lists a message above messageBytesMax once, without its payload", () => {
    const limits = { ...generous, messageBytesMax: 50 };
    const messages = join(
      [...pieces(1, withPrefix(Buffer.alloc(46)), 10), ...pieces(2, withPrefix(Buffer.alloc(45)), 10)],
      limits,
    );
    assert.deepEqual(
      messages.map((each) => [each.callId, each.complete, each.payload?.length]),
      [
        [1, true, undefined],
        [2, true, 45],
      ],
    );
  });

  it("lets go of what does not fit into assemblyBytesMax, and joins again when there is room", () => {
    const limits = { ...generous, assemblyBytesMax: 4_096 };
    const long = (callId: number) => pieces(callId, withPrefix(Buffer.alloc(2_995)), 1_500);
    const [a1, a2] = long(1);
    const [b1, b2] = long(2);
    const mixed = [a1, b1, a2, b2, ...long(3)].filter((each) => each !== undefined);
    assert.deepEqual(
      join(mixed, limits).map((each) => [each.callId, each.payload?.length]),
      [
        [1, undefined],
        [2, 2_995],
        [3, 2_995],
      ],
    );
  });

  it("refuses more open messages than assemblyBytesMax has room for", () => {
    const firsts = Array.from({ length: 9 }, (_, callId) =>
      pieces(callId, withPrefix(Buffer.alloc(1)), 1).slice(0, 1),
    ).flat();
    assert.throws(() => join(firsts, { ...generous, assemblyBytesMax: 4_096 }), { code: "StateTooLarge" });
  });

  it("holds no more than its limits say, however small the pieces are", () => {
    const assembler = createMessageAssembler({ messageBytesMax: 1 << 20, assemblyBytesMax: 1 << 20 });
    const memory = new LiveMemory();
    const piece = (callId: number, pieceOffsetBytes: number, payload: Buffer) =>
      RecordedFrame.fromPartial({ kind: FrameKind.MESSAGE, callId, pieceOffsetBytes, messageBytes: 1 << 20, payload });
    for (let n = 0; n < 300_000; n += 1) {
      assembler.add(piece(1, 0, Buffer.alloc(0)), "records");
      assembler.add(piece(2, n, Buffer.alloc(1)), "records");
      if (n % 10_000 === 0) memory.sample(0);
    }
    assert.ok(memory.grownBytesMax < 16 << 20, `holds ${memory.grownBytesMax} bytes`);
    assert.deepEqual(
      [...assembler.end()].map(({ callId, complete, payload }) => [callId, complete, payload?.length]),
      [
        [1, false, 0],
        [2, false, undefined],
      ],
    );
  });
});
