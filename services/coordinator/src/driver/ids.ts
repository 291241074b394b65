import { randomBytes } from "node:crypto";

/** Crockford's base 32, in ascending order, so that ids sort by time. */
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const timeDigits = 10;
const randomDigits = 16;

/** A new snapshot id: 10 digits of time, 16 of chance. Ids sort by the millisecond in which they were made. */
export function newSnapshotId(nowMs: number): string {
  let time = "";
  for (let rest = nowMs, digit = 0; digit < timeDigits; digit += 1, rest = Math.floor(rest / 32)) {
    time = alphabet.charAt(rest % 32) + time;
  }
  const chance = [...randomBytes(randomDigits)].map((byte) => alphabet.charAt(byte % 32));
  return time + chance.join("");
}
