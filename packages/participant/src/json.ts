import { ParticipantError } from "./errors.ts";

/** Deeper than states are. What is deeper, or has cycles, is left to `JSON.stringify` to find. */
const lookedThroughDepthMax = 100;

/**
 * The value as JSON, or `undefined` where `JSON.stringify` gives none. Throws what `JSON.stringify` throws, and
 * `StateNotSerialisable` for what it writes as `{}` or `null` without a word: a state that lost that would look whole.
 *
 * The application stands still meanwhile. `JSON.stringify` takes twice as long with a function that sees every value, so
 * the value is looked through beforehand, and the function is used where that did not settle it. Accessors are asked
 * twice and must answer the same: all of it is one synchronous run.
 */
export function writeJson(value: unknown): string | undefined {
  return isLossless(value, 0) ? JSON.stringify(value) : JSON.stringify(value, refuseLossy);
}

export function nameOf(value: unknown): string {
  if (typeof value === "object" && value !== null) return `a ${value.constructor?.name ?? "object"}`;
  return typeof value === "number" ? String(value) : `a value of type ${typeof value}`;
}

/** False: it loses something, or has to be written to be known. */
function isLossless(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value);
    case "bigint":
      return false;
    case "object":
      return value === null || areLossless(value, depth);
    default:
      return true;
  }
}

function areLossless(value: object, depth: number): boolean {
  if (depth === lookedThroughDepthMax || "toJSON" in value) return false;
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) if (!isLossless(value[at], depth + 1)) return false;
    return true;
  }
  if (isLossy(value) || ArrayBuffer.isView(value)) return false;
  // What is inherited is not written; looking at it too can only be too careful.
  for (const key in value) if (!isLossless((value as Record<string, unknown>)[key], depth + 1)) return false;
  return true;
}

function isLossy(value: object): boolean {
  return value instanceof Map || value instanceof Set || value instanceof WeakMap || value instanceof WeakSet;
}

function refuseLossy(key: string, value: unknown): unknown {
  const isLost =
    typeof value === "number" ? !Number.isFinite(value) : typeof value === "object" && value !== null && isLossy(value);
  if (!isLost) return value;
  const where = key === "" ? "the state itself" : `"${key}"`;
  throw new ParticipantError(
    "StateNotSerialisable",
    `state() returned ${nameOf(value)} at ${where}, which JSON would lose; convert it, for example with Object.fromEntries`,
  );
}
