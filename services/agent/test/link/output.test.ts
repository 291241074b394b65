import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { describe, it } from "node:test";
import { FrameDecoder, FrameType } from "../../src/dataplane/link/codec.ts";
import { LinkOutput, type SentFrame } from "../../src/dataplane/link/output.ts";

const payloadBytes = 15_000;
const framesPerSlab = 4;

/** An output on a socket that takes what it gets when it is told to, and what came out of it. */
function setup() {
  const taken: string[] = [];
  const decoder = new FrameDecoder({
    onFrame: (type, _flags, number, _callId, payload) => taken.push(`${type} ${number} ${summary(payload)}`),
  });
  const writing: (() => void)[] = [];
  const socket = new Duplex({
    read() {},
    // As the operating system does, it looks at the bytes when it takes them, not when they are given.
    write(chunk: Buffer, _encoding, done) {
      writing.push(() => {
        decoder.feed(Buffer.from(chunk));
        done();
      });
    },
  });
  const output = new LinkOutput(socket);
  return {
    output,
    socket,
    taken,
    /** The socket takes all that it was given. */
    drain() {
      output.flush();
      for (let write = writing.shift(); write !== undefined; write = writing.shift()) write();
    },
  };
}

const summary = (payload: Buffer) => `${payload.length} of ${[...new Set(payload)].join()}`;
const contents = ({ source, start, end }: SentFrame) => Buffer.from(source.subarray(start, end)).toString("hex");

/** Sends the frames with these numbers, each of its number's lowest byte. */
function send(output: LinkOutput, from: number, to: number): SentFrame[] {
  const sent: SentFrame[] = [];
  for (let number = from; number <= to; number += 1) {
    sent.push(output.frame(FrameType.message, 1, number, 1, Buffer.alloc(payloadBytes, number)));
  }
  return sent;
}

const expected = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `2 ${from + i} ${payloadBytes} of ${from + i}`);

describe("LinkOutput", () => {
  it("writes again to a slab that is acknowledged and written", async () => {
    const { output, taken, drain } = setup();
    const first = send(output, 1, 3 * framesPerSlab);
    drain();
    await new Promise(setImmediate);
    output.acknowledged(2 * framesPerSlab);
    const later = send(output, 3 * framesPerSlab + 1, 5 * framesPerSlab);
    const reused = new Set(later.map(({ source }) => source));
    assert.ok(first.slice(0, 2 * framesPerSlab).some(({ source }) => reused.has(source)));
    drain();
    assert.deepEqual(taken, expected(1, 5 * framesPerSlab));
  });

  it("keeps what is not acknowledged as it was sent", async () => {
    const { output, drain } = setup();
    const first = send(output, 1, 2 * framesPerSlab);
    const before = first.map(contents);
    drain();
    await new Promise(setImmediate);
    // The first slab's last frame is missing.
    output.acknowledged(framesPerSlab - 1);
    for (let round = 1; round < 5; round += 1) {
      send(output, 2 * round * framesPerSlab + 1, 2 * (round + 1) * framesPerSlab);
      drain();
    }
    assert.deepEqual(first.map(contents), before);
  });

  it("keeps what is acknowledged and stands before something that the socket has not taken", async () => {
    const { output, taken, drain } = setup();
    send(output, 1, framesPerSlab);
    output.control(FrameType.credit, 77, 1, Buffer.alloc(0));
    send(output, framesPerSlab + 1, 2 * framesPerSlab);
    output.flush();
    // A peer that has it from an earlier connection may say so at once.
    output.acknowledged(2 * framesPerSlab);
    send(output, 2 * framesPerSlab + 1, 4 * framesPerSlab);
    drain();
    assert.deepEqual(taken, [
      ...expected(1, framesPerSlab),
      "20 77 0 of ",
      ...expected(framesPerSlab + 1, 4 * framesPerSlab),
    ]);
  });

  it("sends frames again out of slabs, and long ones out of memory of their own", () => {
    const { output, taken, drain } = setup();
    const sent = [...send(output, 1, 2), output.frame(FrameType.message, 1, 3, 1, Buffer.alloc(100_000, 3))];
    drain();
    const resumed = setup();
    for (const frame of sent) resumed.output.again(frame);
    resumed.drain();
    assert.deepEqual(taken, [...expected(1, 2), "2 3 100000 of 3"]);
    assert.deepEqual(resumed.taken, taken);
  });
});
