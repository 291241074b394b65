import process from "node:process";

/** `full`: as many as was promised; `small`: for the tests that run every time. */
type BehaviourScale = "full" | "small";

const variable = "INTEROP_SCALE";

export function volumes(): { readonly openCalls: number; readonly connections: number } {
  const full = process.env[variable] === "full";
  return { openCalls: full ? 10_000 : 2_000, connections: full ? 1_000 : 200 };
}

/** For the test files that this process starts from now on. */
export function setScale(scale: BehaviourScale): void {
  process.env[variable] = scale;
}
