import type { Random } from "../../../packages/simulator/src/engine/random.ts";
import { inputBytesMax } from "./target.ts";

type Mutation = (random: Random, bytes: Buffer, other: Buffer) => Buffer;

/** Where code that works with lengths and counts goes wrong. */
const numbers = [0, 1, 2, 3, 4, 5, 11, 12, 15, 16, 127, 128, 255, 256, 32_767, 65_535, 65_536, 2 ** 20, 2 ** 20 + 1];
const bigNumbers = [2 ** 24 - 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

/** Varints at and beyond what fits: 2^32 - 1, 2^53 - 1, 2^53, 2^64 - 1, eleven bytes. */
const varints = [
  "ffffffff0f",
  "ffffffffffffff0f",
  "8080808080808010",
  "ffffffffffffffffff01",
  "ffffffffffffffffffffff",
].map((hex) => Buffer.from(hex, "hex"));

const mutations: readonly Mutation[] = [
  function flipBit(random, bytes) {
    const changed = Buffer.from(bytes);
    const at = random.below(changed.length);
    changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
    return changed;
  },
  function setByte(random, bytes) {
    const changed = Buffer.from(bytes);
    changed[random.below(changed.length)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]) ?? 0;
    return changed;
  },
  function truncate(random, bytes) {
    return bytes.subarray(0, random.below(bytes.length));
  },
  function cutHead(random, bytes) {
    return bytes.subarray(random.below(bytes.length));
  },
  function cutOut(random, bytes) {
    const at = random.below(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(16))]);
  },
  function insertRandom(random, bytes) {
    return inserted(random, bytes, randomBytes(random, 1 + random.below(24)));
  },
  function insertVarint(random, bytes) {
    return inserted(random, bytes, random.pick(varints) ?? Buffer.alloc(0));
  },
  function repeatSlice(random, bytes) {
    const at = random.below(bytes.length);
    const slice = bytes.subarray(at, at + 1 + random.below(64));
    const times = random.happens(0.05) ? 1 + random.below(400) : 1 + random.below(4);
    return inserted(random, bytes, Buffer.concat(Array.from({ length: times }, () => slice)));
  },
  function splice(random, bytes, other) {
    const from = random.below(other.length + 1);
    return Buffer.concat([bytes.subarray(0, random.below(bytes.length + 1)), other.subarray(from)]);
  },
  function setLength16(random, bytes) {
    if (bytes.length < 2) return bytes;
    const changed = Buffer.from(bytes);
    changed.writeUInt16BE((random.pick(numbers) ?? 0) & 0xffff, random.below(bytes.length - 1));
    return changed;
  },
  function setLength32(random, bytes) {
    if (bytes.length < 4) return bytes;
    const changed = Buffer.from(bytes);
    changed.writeUInt32BE(random.pick([...numbers, ...bigNumbers]) ?? 0, random.below(bytes.length - 3));
    return changed;
  },
  function nest(random, bytes) {
    return nested(bytes, 1 + random.below(random.happens(0.05) ? 2_000 : 30), 1 + random.below(15));
  },
  function openGroups(random, bytes) {
    const groups = Buffer.alloc(random.happens(0.05) ? 20_000 : 1 + random.below(200), 0x0b + 8 * random.below(8));
    return inserted(random, bytes, groups);
  },
];

/** Up to five changes of a sample. The result has `inputBytesMax` at most. */
export function mutate(random: Random, sample: Buffer, other: Buffer): Buffer {
  let bytes = sample;
  for (let left = 1 + random.below(random.happens(0.3) ? 5 : 2); left > 0; left -= 1) {
    if (bytes.length === 0) bytes = randomBytes(random, 1 + random.below(8));
    const mutation = mutations[random.below(mutations.length)] ?? mutations[0];
    if (mutation !== undefined) bytes = mutation(random, bytes, other).subarray(0, inputBytesMax);
  }
  return bytes;
}

export function randomBytes(random: Random, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at += 1) bytes[at] = random.below(256);
  return bytes;
}

/** The bytes as a field of a message, in a field of a message, and so on. */
function nested(bytes: Buffer, levels: number, field: number): Buffer {
  const heads: Buffer[] = [];
  let length = bytes.length;
  for (let level = 0; level < levels; level += 1) {
    const head = Buffer.from([field * 8 + 2, ...varint(length)]);
    heads.push(head);
    length += head.length;
  }
  return Buffer.concat([...heads.reverse(), bytes]);
}

function inserted(random: Random, bytes: Buffer, part: Buffer): Buffer {
  const at = random.below(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
}

/** At most 2^32 - 1. */
export function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}
