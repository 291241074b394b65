import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { InboundQueue } from "../../src/dataplane/call/inbound-queue.ts";
import { type OutboundItem, OutboundQueue } from "../../src/dataplane/call/outbound-queue.ts";
import { covers, everything, type FrameRole, nothingYet, type Position } from "../../src/dataplane/call/position.ts";
import { FrameFlag, FrameType } from "../../src/dataplane/link/codec.ts";
import { ArrivedFrame } from "../../src/dataplane/link/frame.ts";
import { encodeHeaders } from "../../src/dataplane/link/headers.ts";

const block = encodeHeaders([":path", "/a.B/C"]);

/** What a naive inbound queue knows of a frame. */
interface Entry {
  readonly number: number;
  readonly role: FrameRole;
  readonly endOfMessage: boolean;
  readonly bytes: number;
}

/** Slow, simple, obviously right. */
class InboundModel {
  waiting: Entry[] = [];
  handed: Entry[] = [];
  taken: number[] = [];

  get isInsideMessage(): boolean {
    const last = this.handed.at(-1);
    return last?.role.part === "message" && !last.endOfMessage;
  }

  takeReceived(position: Position): void {
    while (this.handed[0] !== undefined && covers(position, this.handed[0].role)) this.#take();
  }

  takeHanded(): void {
    const open = this.isInsideMessage ? this.handed.at(-1)?.role : undefined;
    const kept = this.handed.filter(
      ({ role }) => open?.part === "message" && role.part === "message" && role.index === open.index,
    );
    while (this.handed.length > kept.length) this.#take();
  }

  #take(): void {
    const entry = this.handed.shift();
    if (entry !== undefined) this.taken.push(entry.number);
  }
}

type InboundAction =
  | { readonly do: "message"; readonly pieces: number; readonly pieceBytes: number }
  | { readonly do: "headers" | "takeHanded" }
  | { readonly do: "hand"; readonly frames: number }
  | { readonly do: "takeReceived"; readonly messagesBack: number };

const inboundAction: fc.Arbitrary<InboundAction> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("message" as const),
      pieces: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 90 })),
      pieceBytes: fc.integer({ min: 5, max: 9 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "headers" as const }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("hand" as const),
      frames: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 150 })),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: "takeHanded" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("takeReceived" as const), messagesBack: fc.integer({ min: 0, max: 3 }) }),
  },
);

describe("inbound queue", () => {
  it("does what a naive queue does: every frame is handed once, in order, and taken once, in order", () => {
    fc.assert(
      fc.property(fc.array(inboundAction, { maxLength: 40 }), (actions) => {
        const queue = new InboundQueue();
        const model = new InboundModel();
        const taken: number[] = [];
        const take = (frame: { number: number }) => taken.push(frame.number);
        let number = 0;
        let messages = 0;
        const append = (type: number, role: FrameRole, endOfMessage: boolean, payload: Buffer) => {
          number += 1;
          const flags = endOfMessage ? FrameFlag.endOfMessage : 0;
          const frame = new ArrivedFrame(type, flags, number, 1, payload);
          queue.append(frame);
          assert.deepEqual(frame.role, role);
          model.waiting.push({ number, role, endOfMessage, bytes: payload.length });
        };
        for (const action of actions) {
          if (action.do === "headers") append(FrameType.headers, { part: "headers" }, false, block);
          if (action.do === "message") {
            for (let piece = 1; piece <= action.pieces; piece += 1) {
              const role: FrameRole = { part: "message", index: messages };
              append(FrameType.message, role, piece === action.pieces, Buffer.alloc(action.pieceBytes));
            }
            messages += 1;
          }
          if (action.do === "hand") {
            for (let i = 0; i < action.frames && queue.next !== undefined; i += 1) {
              const entry = model.waiting.shift();
              assert.equal(queue.next.number, entry?.number);
              if (entry !== undefined) model.handed.push(entry);
              queue.advance();
            }
          }
          if (action.do === "takeHanded") {
            queue.takeHanded(take);
            model.takeHanded();
          }
          if (action.do === "takeReceived") {
            const whole = model.handed
              .filter((entry) => entry.role.part === "message" && entry.endOfMessage)
              .map(({ role }) => (role.part === "message" ? role.index + 1 : 0));
            const position = {
              headers: true,
              messages: Math.max(0, (whole.at(-1) ?? 0) - action.messagesBack),
              end: false,
            };
            queue.takeReceived(position, take);
            model.takeReceived(position);
          }
          assert.deepEqual(taken, model.taken);
          assert.equal(queue.next?.number, model.waiting[0]?.number);
          assert.equal(queue.handedInsideMessage, model.isInsideMessage);
          const left = [...model.handed, ...model.waiting];
          assert.deepEqual(
            [...queue.remaining()].map((frame) => frame.number),
            left.map((entry) => entry.number),
          );
          assert.equal(
            queue.bytes,
            left.reduce((sum, entry) => sum + entry.bytes, 0),
          );
          assert.equal(queue.isEmpty, left.length === 0);
        }
        queue.takeAll(take);
        assert.deepEqual(
          taken,
          Array.from({ length: number }, (_, i) => i + 1),
        );
        assert.deepEqual([queue.isEmpty, queue.bytes, queue.next], [true, 0, undefined]);
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  it("keeps what was not handed when a long message in front of it is taken", () => {
    const queue = new InboundQueue();
    for (let number = 1; number <= 100; number += 1) {
      const flags = number >= 80 ? FrameFlag.endOfMessage : 0;
      queue.append(new ArrivedFrame(FrameType.message, flags, number, 1, Buffer.alloc(9)));
    }
    for (let i = 0; i < 80; i += 1) queue.advance();
    let taken = 0;
    queue.takeHanded(() => {
      taken += 1;
    });
    assert.deepEqual([taken, queue.next?.number], [80, 81]);
  });

  it("places pieces in their messages", () => {
    const queue = new InboundQueue();
    const first = Buffer.from([0, 0, 0, 0, 7, 1, 2]);
    const pieces = [first, Buffer.alloc(5), Buffer.from([0, 0, 0, 0, 0])].map(
      (payload, i) => new ArrivedFrame(FrameType.message, i === 0 ? 0 : FrameFlag.endOfMessage, i + 1, 1, payload),
    );
    for (const piece of pieces) queue.append(piece);
    assert.deepEqual(
      pieces.map(({ offsetBytes, messageBytes, role }) => [offsetBytes, messageBytes, role]),
      [
        [0, 12, { part: "message", index: 0 }],
        [7, 12, { part: "message", index: 0 }],
        [0, 5, { part: "message", index: 1 }],
      ],
    );
  });

  it("takes a long message of one-byte pieces in time that is proportional to it", () => {
    const queue = new InboundQueue();
    const piecesMax = 200_000;
    for (let number = 1; number <= piecesMax; number += 1) {
      const flags = number === piecesMax ? FrameFlag.endOfMessage : 0;
      queue.append(new ArrivedFrame(FrameType.message, flags, number, 1, Buffer.from([0])));
      queue.advance();
      queue.takeHanded(() => {});
    }
    assert.equal(queue.isEmpty, true);
  });
});

function item(part: "headers" | "end" | number, bytes = 1, type: number = FrameType.message): OutboundItem {
  const role: FrameRole = typeof part === "number" ? { part: "message", index: part } : { part };
  return { type, flags: 0, payload: new Uint8Array(bytes), role, offsetBytes: 0, messageBytes: bytes };
}

describe("outbound queue", () => {
  it("does what a naive queue does", () => {
    const action = fc.oneof(
      { weight: 5, arbitrary: fc.integer({ min: 0, max: 100 }).map((bytes) => ({ do: "append" as const, bytes })) },
      { weight: 4, arbitrary: fc.integer({ min: 1, max: 90 }).map((items) => ({ do: "take" as const, items })) },
      { weight: 1, arbitrary: fc.constant({ do: "clear" as const }) },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const queue = new OutboundQueue();
        let model: OutboundItem[] = [];
        for (const each of actions) {
          if (each.do === "append") {
            for (let i = 0; i < 20; i += 1) {
              const added = item(i, each.bytes);
              queue.append(added);
              model.push(added);
            }
          }
          if (each.do === "take") {
            for (let i = 0; i < each.items; i += 1) {
              assert.equal(queue.next, model[0]);
              queue.takeNext();
              model.shift();
            }
          }
          if (each.do === "clear") {
            queue.clear();
            model = [];
          }
          assert.deepEqual([...queue.remaining()], model);
          assert.equal(
            queue.bytes,
            model.reduce((sum, { payload }) => sum + payload.length, 0),
          );
          assert.equal(queue.isEmpty, model.length === 0);
        }
      }),
      { seed: 6, numRuns: 200 },
    );
  });

  it("knows how far the application's sending has been read", () => {
    const queue = new OutboundQueue();
    const at = (messages: number, end = false): Position => ({ headers: true, messages, end });
    assert.deepEqual([queue.hasRead(nothingYet), queue.hasRead(at(0))], [true, false]);
    queue.noteRead(item("headers"), false);
    assert.deepEqual([queue.hasRead(at(0)), queue.hasRead(at(1))], [true, false]);
    queue.noteRead(item(0), false);
    assert.equal(queue.hasRead(at(1)), false);
    queue.noteRead(item(0), true);
    assert.deepEqual([queue.hasRead(at(1)), queue.hasRead(at(2)), queue.hasRead(at(1, true))], [true, false, false]);
    queue.noteRead(item("end"), false);
    assert.deepEqual([queue.hasRead(everything), queue.read], [true, { headers: true, messages: 1, end: true }]);
  });

  it("finds the reset that stands last", () => {
    const queue = new OutboundQueue();
    assert.equal(queue.lastReset, undefined);
    queue.append(item(0));
    assert.equal(queue.lastReset, undefined);
    const reset = item("end", 4, FrameType.reset);
    queue.append(reset);
    assert.equal(queue.lastReset, reset);
  });
});

describe("positions", () => {
  it("cover what stands before them", () => {
    const roles: FrameRole[] = [
      { part: "headers" },
      { part: "message", index: 0 },
      { part: "message", index: 1 },
      { part: "end" },
    ];
    const covered = (position: Position) => roles.map((role) => covers(position, role));
    assert.deepEqual(covered(nothingYet), [false, false, false, false]);
    assert.deepEqual(covered({ headers: true, messages: 0, end: false }), [true, false, false, false]);
    assert.deepEqual(covered({ headers: false, messages: 1, end: false }), [true, true, false, false]);
    assert.deepEqual(covered({ headers: true, messages: 1, end: true }), [true, true, false, true]);
    assert.deepEqual(covered(everything), [true, true, true, true]);
  });
});
