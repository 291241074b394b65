import { Random } from "../../../packages/simulator/src/engine/random.ts";
import { mutate, randomBytes, varint } from "./mutate.ts";
import { inputBytesMax, type Target } from "./target.ts";

/** The inputs of one seed: the same seed and index always give the same one. */
export class Inputs {
  readonly #target: Target;
  readonly #samples: readonly Buffer[];
  readonly #seeds: Random;

  constructor(target: Target, seed: number) {
    this.#target = target;
    this.#samples = target.samples();
    this.#seeds = new Random(seed).stream(target.name);
  }

  at(index: number): Buffer {
    const random = this.#seeds.stream(String(index));
    const kind = random.below(20);
    if (kind === 0) return randomBytes(random, random.below(random.happens(0.05) ? 4_096 : 64));
    const fresh = () => this.#target.generate(random);
    const sample = () => (random.happens(0.5) ? fresh() : (random.pick(this.#samples) ?? fresh()));
    const bytes = kind < 5 ? fresh() : mutate(random, sample(), sample());
    return bytes.subarray(0, inputBytesMax);
  }
}

/** A stream of choices that an input itself decides, so that the input alone repeats the execution. */
export function choicesOf(input: Buffer): Random {
  let hash = 0x811c9dc5;
  for (let at = 0; at < input.length && at < 256; at += 1) hash = Math.imul(hash ^ (input[at] ?? 0), 0x01000193);
  return new Random(hash ^ input.length);
}

/** The input in pieces as a network might deliver it. */
export function piecesOf(input: Buffer, choices: Random): Buffer[] {
  if (choices.happens(0.3)) return [input];
  const pieces: Buffer[] = [];
  const piece = choices.happens(0.2) ? 3 : 1 + choices.below(400);
  for (let at = 0; at < input.length; ) {
    const end = at + 1 + choices.below(piece);
    pieces.push(input.subarray(at, end));
    at = end;
  }
  return pieces;
}

/** Records, each behind its length as a varint. */
export function delimited(records: readonly Uint8Array[]): Buffer {
  return Buffer.concat(records.flatMap((record) => [Buffer.from(varint(record.length)), record]));
}

/** The inverse of {@link delimited} for any bytes: what does not add up is one last record. */
export function recordsOf(bytes: Buffer, recordsMax: number): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < bytes.length && records.length < recordsMax; ) {
    let length = 0;
    let factor = 1;
    let byte = 0x80;
    for (; byte >= 0x80 && at < bytes.length && factor <= 2 ** 21; factor *= 128) {
      byte = bytes[at] ?? 0;
      length += (byte & 0x7f) * factor;
      at += 1;
    }
    records.push(bytes.subarray(at, at + length));
    at += length;
  }
  return records;
}
