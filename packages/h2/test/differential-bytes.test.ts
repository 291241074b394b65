import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Flag, FrameType } from "../src/frames/constants.ts";
import type { Http2Adapters } from "./compliance/adapters.ts";
import { lean, nodeHttp2 } from "./support/both.ts";
import { RawPeer } from "./support/raw-peer.ts";
import { request } from "./support/requests.ts";
import { trivialServer } from "./support/trivial-server.ts";
import { block, frame, text, uint32, wire } from "./support/wire.ts";

/** Frames of one stream, in order, as any client may send them. */
interface StreamBytes {
  readonly frames: readonly Buffer[];
}

const value = fc.oneof(
  fc.constantFrom("", "x"),
  fc.integer({ min: 1, max: 3_000 }).map((n) => "v".repeat(n)),
);

function headersFrames(
  id: number,
  octets: Buffer,
  endStream: boolean,
  cut: number,
  padding: number,
  priority: boolean,
): Buffer[] {
  const at = cut === 0 ? octets.length : cut % octets.length;
  const flags = (padding > 0 ? Flag.padded : 0) | (priority ? Flag.priority : 0);
  const payload = Buffer.concat([
    Buffer.from(padding > 0 ? [padding] : []),
    priority ? Buffer.concat([uint32(0), Buffer.from([7])]) : Buffer.alloc(0),
    octets.subarray(0, at),
    Buffer.alloc(padding),
  ]);
  const head = wire.headers(id, payload, { endStream, endHeaders: at === octets.length, flags });
  return at === octets.length ? [head] : [Buffer.concat([head, wire.continuation(id, octets.subarray(at))])];
}

const streamOf = (id: number): fc.Arbitrary<StreamBytes> =>
  fc
    .record({
      values: fc.array(value, { maxLength: 3 }),
      isIndexed: fc.boolean(),
      cut: fc.nat({ max: 200 }),
      padding: fc.constantFrom(0, 1, 100),
      priority: fc.boolean(),
      data: fc.array(fc.tuple(fc.integer({ min: 0, max: 5_000 }), fc.constantFrom(0, 3)), { maxLength: 4 }),
      end: fc.constantFrom("data", "trailers", "reset", "open"),
    })
    .map(({ values, isIndexed, cut, padding, priority, data, end }) => {
      const literals = values.map((one, i) =>
        Buffer.concat([Buffer.from([isIndexed ? 0x40 : 0x10]), text(`x-${i}`), text(one)]),
      );
      const octets = Buffer.concat([block(request(`/s${id}`)), ...literals]);
      const frames = headersFrames(id, octets, false, cut, padding, priority);
      for (const [bytes, pad] of data) {
        const payload = Buffer.concat([
          Buffer.from(pad > 0 ? [pad] : []),
          Buffer.alloc(bytes, 0x61),
          Buffer.alloc(pad),
        ]);
        frames.push(frame(FrameType.data, pad > 0 ? Flag.padded : 0, id, payload));
      }
      if (end === "data") frames.push(wire.data(id, "last", true));
      if (end === "trailers") frames.push(wire.headers(id, ["t", "1"], { endStream: true }));
      if (end === "reset") frames.push(wire.reset(id, 8));
      return { frames };
    });

const between = fc.constantFrom(
  wire.ping("between"),
  wire.settings([4, 10_000]),
  wire.windowUpdate(0, 100),
  wire.priority(3),
  frame(0xbe, 0x0f, 0, [1, 2]),
);

/** Streams that begin in their order and are otherwise mixed at random, and what may stand between frames. */
const clientBytes = fc
  .tuple(
    fc.tuple(streamOf(1), streamOf(3), streamOf(5)),
    fc.array(fc.nat({ max: 5 }), { maxLength: 40 }),
    fc.array(between, { maxLength: 5 }),
  )
  .map(([streams, order, others]) => {
    const queues = streams.map(({ frames }) => [...frames]);
    const begins = queues.map((queue) => queue.shift() as Buffer);
    const mixed = [...begins];
    for (const pick of order) {
      const next = pick < 3 ? queues[pick]?.shift() : others.pop();
      if (next !== undefined) mixed.push(next);
    }
    return Buffer.concat([...mixed, ...queues.flat()]);
  });

/** What a server made of the bytes, cut at these positions: its calls, and how it stands. */
async function served(adapters: Http2Adapters, bytes: Buffer, cuts: readonly number[]): Promise<unknown> {
  const server = await trivialServer(adapters);
  const peer = await RawPeer.connect(server.port);
  try {
    const at = [0, ...cuts.map((cut) => cut % bytes.length).toSorted((a, b) => a - b), bytes.length];
    for (let i = 1; i < at.length; i += 1) {
      peer.send(bytes.subarray(at[i - 1], at[i]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const state = await peer.settled();
    const calls = server.calls.map(({ headers, events }) => [
      headers,
      events.bytes,
      events.log.join(),
      events.trailers,
    ]);
    return { state, errors: peer.errors, calls };
  } finally {
    peer.destroy();
    await server.close();
  }
}

describe("differential: the same bytes of a client", () => {
  it("are the same calls to the lean layer and to node:http2", async () => {
    await fc.assert(
      fc.asyncProperty(clientBytes, fc.array(fc.nat({ max: 40_000 }), { maxLength: 6 }), async (bytes, cuts) => {
        assert.deepEqual(await served(lean, bytes, cuts), await served(nodeHttp2, bytes, cuts));
      }),
      { numRuns: 60 },
    );
  });
});
