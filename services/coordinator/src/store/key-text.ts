import type { PartKey } from "./port.ts";

/**
 * Any string as printable ASCII without braces, slashes, spaces or control characters; different strings give different texts, and the
 * usual ids give themselves. Safe inside a Redis hash tag.
 */
export function keyText(text: string): string {
  // JSON writes a lone surrogate as an escape, which encodeURIComponent would refuse.
  const encoded = encodeURIComponent(JSON.stringify(text).slice(1, -1));
  // An empty hash tag is none, so the empty string needs a text too; a bare percent sign stands for nothing else.
  return encoded === "" ? "%" : encoded;
}

/** The string that {@link keyText} was given. */
export function textOfKey(key: string): string {
  return key === "%" ? "" : String(JSON.parse(`"${decodeURIComponent(key)}"`));
}

/** The name of a part within its snapshot: attempt, kind, owner. An attempt that is no number from 0 on is a `RangeError`. */
export function partName(key: PartKey): string {
  if (!Number.isSafeInteger(key.attempt) || key.attempt < 0) {
    throw new RangeError(`An attempt is a whole number, not ${key.attempt}.`);
  }
  return `${key.attempt}/${key.kind}/${keyText(key.owner)}`;
}
