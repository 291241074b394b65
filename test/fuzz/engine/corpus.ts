import { readFileSync } from "node:fs";

const path = new URL("../corpus/failed.txt", import.meta.url);

/** Inputs that a target once failed on: lines of its name and the input in hex; `#` begins a comment. */
export function knownInputs(target: string): Buffer[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim().split(/\s+/))
    .filter(([name]) => name === target)
    .map(([, hex = ""]) => Buffer.from(hex, "hex"));
}
