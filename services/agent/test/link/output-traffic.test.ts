import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { describe, it } from "node:test";
import { poisonReleasedMemory } from "@cutline/runtime/testing";
import fc from "fast-check";
import { FrameDecoder, FrameType } from "../../src/dataplane/link/codec.ts";
import { LinkOutput, type SentFrame, unsentFrame } from "../../src/dataplane/link/output.ts";

poisonReleasedMemory();

const sizes = [0, 1, 5, 100, 16_384, 16_393, 32_735, 32_736, 32_752, 32_753, 32_768, 65_520, 65_536, 65_537];

/** Byte `at` of the payload of frame `number`. */
const payloadOf = (number: number, bytes: number) => {
  const payload = Buffer.allocUnsafe(bytes);
  for (let i = 0; i < bytes; i += 1) payload[i] = (number * 31 + i * 7 + (i >>> 8)) & 0xff;
  return payload;
};

/** A connection of a link: its socket takes a write when it is told to, and looks at the bytes only then. */
class LateConnection {
  readonly output: LinkOutput;
  readonly arrived: { number: number; payload: Buffer }[] = [];
  readonly #socket: Duplex;
  readonly #writing: (() => void)[] = [];

  constructor() {
    const decoder = new FrameDecoder({
      onFrame: (type, _flags, number, _callId, payload) => {
        if (type === FrameType.message) this.arrived.push({ number, payload: Buffer.from(payload) });
      },
    });
    const late = (chunks: readonly Buffer[], done: () => void) =>
      this.#writing.push(() => {
        for (const chunk of chunks) decoder.feed(Buffer.from(chunk));
        done();
      });
    this.#socket = new Duplex({
      read() {},
      write: (chunk: Buffer, _encoding, done) => late([chunk], done),
      writev: (chunks, done) =>
        late(
          chunks.map(({ chunk }) => chunk as Buffer),
          done,
        ),
    });
    this.#socket.on("error", () => undefined); // Broken on purpose.
    this.output = new LinkOutput(this.#socket);
  }

  takeOne(): void {
    this.#writing.shift()?.();
  }

  takeAll(): void {
    this.output.flush();
    while (this.#writing.length > 0) this.takeOne();
  }

  break(): void {
    this.#socket.destroy();
  }
}

/** Percent of what is on the way that the peer gets: the rest is lost when the connection breaks. */
const part = fc.nat({ max: 100 });
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("send"), size: fc.constantFrom(...sizes) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("control", "flush", "take", "takeAll"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("acknowledge"), part }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("break"), part, whileAway: fc.nat({ max: 3 }) }) },
);

describe("LinkOutput, whatever is sent, acknowledged, written late, broken and resumed", () => {
  it("brings every frame once with its own bytes to a peer that resumes where it stands", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 30, maxLength: 200 }), (steps) => {
        let connection = new LateConnection();
        /** What the sender keeps. */
        const kept = new Map<number, SentFrame>();
        const bytesOf = new Map<number, number>();
        let [lastSent, received, acknowledged] = [0, 0, 0];
        const receive = (percent: number) => {
          const frames = Math.floor((connection.arrived.length * percent) / 100);
          for (const { number, payload } of connection.arrived.splice(0, frames)) {
            assert.equal(number, received + 1);
            received = number;
            const expected = payloadOf(number, bytesOf.get(number) ?? -1);
            assert.ok(payload.equals(expected), `frame ${number} of ${expected.length} bytes was changed`);
          }
        };
        const send = (size: number, isAway = false) => {
          lastSent += 1;
          const [number, payload] = [lastSent, payloadOf(lastSent, size)];
          bytesOf.set(number, size);
          const args = [FrameType.message, 1, number, 1, payload] as const;
          kept.set(number, isAway ? unsentFrame(...args) : connection.output.frame(...args));
        };
        for (const one of steps) {
          switch (one.kind) {
            case "send":
              send(one.size);
              break;
            case "control":
              connection.output.control(FrameType.credit, 7, 1, Buffer.alloc(0));
              break;
            case "flush":
              connection.output.flush();
              break;
            case "take":
              connection.takeOne();
              break;
            case "takeAll":
              connection.takeAll();
              break;
            case "acknowledge":
              receive(one.part);
              acknowledged += Math.floor(((received - acknowledged) * one.part) / 100);
              for (const number of [...kept.keys()]) if (number <= acknowledged) kept.delete(number);
              connection.output.acknowledged(acknowledged);
              break;
            case "break":
              receive(one.part);
              connection.break();
              for (let i = 0; i < one.whileAway; i += 1) send(sizes[(lastSent * 5) % sizes.length] as number, true);
              connection = new LateConnection();
              for (const [number, frame] of kept) if (number > received) connection.output.again(frame);
          }
        }
        connection.takeAll();
        receive(100);
        assert.equal(received, lastSent);
      }),
      { numRuns: 200 },
    );
  });
});
