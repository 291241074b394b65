import { Flag, FrameType } from "../../../../packages/h2/src/frames/constants.ts";
import { block, frame, settingId, uint32, wire } from "../../../../packages/h2/test/support/wire.ts";
import type { Random } from "../../../../packages/simulator/src/engine/random.ts";
import { randomBytes } from "../../engine/mutate.ts";

const request = [":method", "POST", ":scheme", "http", ":path", "/a.B/C", ":authority", "a", "te", "trailers"];
const answer = [":status", "200", "content-type", "application/grpc"];
const trailers = ["grpc-status", "0"];

const settings = [
  [settingId.initialWindowSize, 0],
  [settingId.initialWindowSize, 100],
  [settingId.initialWindowSize, 2 ** 31 - 1],
  [settingId.headerTableSize, 0],
  [settingId.headerTableSize, 4_096],
  [settingId.maxConcurrentStreams, 1],
  [settingId.maxFrameSize, 20_000],
  [99, 99],
] as const;

function headersOf(random: Random, side: "server" | "client"): Buffer {
  const lists = side === "server" ? [request, request, trailers] : [answer, answer, trailers, [":status", "103"]];
  const list = [...(random.pick(lists) ?? request)];
  if (random.happens(0.2)) list.push("content-length", String(random.below(30)));
  if (random.happens(0.1)) list.push(randomBytes(random, 4).toString("latin1"), "x".repeat(random.below(600)));
  // Some are put into the table, and later found there.
  const octets = Buffer.from(block(list));
  if (random.happens(0.3)) octets[0] = 0x40;
  return random.happens(0.2)
    ? Buffer.concat([Buffer.from([0x83, 0x86, 0x84, 0x80 + random.below(70)]), octets])
    : octets;
}

function anyFrame(random: Random, side: "server" | "client", streamId: number): Buffer {
  const ends = random.happens(0.3);
  switch (random.below(14)) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const octets = headersOf(random, side);
      if (random.happens(0.8)) return wire.headers(streamId, octets, { endStream: ends });
      const at = random.below(octets.length);
      return Buffer.concat([
        wire.headers(streamId, octets.subarray(0, at), { endStream: ends, endHeaders: false }),
        wire.continuation(streamId, octets.subarray(at)),
      ]);
    }
    case 4:
    case 5:
    case 6:
      return wire.data(streamId, Buffer.alloc(random.below(random.happens(0.02) ? 16_384 : 30)), ends);
    case 7:
      return frame(FrameType.data, Flag.padded | (ends ? 1 : 0), streamId, randomBytes(random, random.below(12)));
    case 8:
      return wire.settings(
        ...Array.from({ length: random.below(3) }, () => random.pick(settings) ?? ([1, 0] as const)),
      );
    case 9:
      return wire.windowUpdate(random.happens(0.5) ? 0 : streamId, random.pick([1, 100, 65_535, 2 ** 31 - 1]) ?? 1);
    case 10:
      return wire.reset(streamId, random.below(15));
    case 11:
      return random.happens(0.5) ? wire.ping("fuzz") : wire.settingsAck;
    case 12:
      return random.happens(0.2) ? wire.goaway(random.below(9), random.below(3)) : wire.priority(streamId);
    default:
      return frame(
        random.below(20),
        random.below(256),
        random.below(8),
        Buffer.concat([uint32(random.below(9)), randomBytes(random, random.below(20))]),
      );
  }
}

/** What a peer of this side may say behind its first SETTINGS, mostly right. */
export function traffic(random: Random, side: "server" | "client"): Buffer {
  const frames: Buffer[] = [];
  for (let left = 1 + random.below(12); left > 0; left -= 1) {
    frames.push(anyFrame(random, side, random.happens(0.9) ? 1 + 2 * random.below(4) : random.below(9)));
  }
  return Buffer.concat(frames);
}
