import { HttpProblem } from "./problems.ts";

/** An Accept header beyond this many entries is not read further. */
const entriesMax = 32;

/**
 * The one of `offered` (media types in lower case, the preferred first) that the caller likes best. Throws a 406
 * problem when it likes none. No header means anything.
 */
export function negotiate(accept: string | undefined, offered: readonly [string, ...string[]]): string {
  if (accept === undefined || accept.trim() === "") {
    return offered[0];
  }
  const entries = accept.split(",").slice(0, entriesMax).map(parseEntry);
  let best: string | undefined;
  let bestQuality = 0;
  for (const type of offered) {
    const quality = qualityOf(type, entries);
    if (quality > bestQuality) {
      best = type;
      bestQuality = quality;
    }
  }
  if (best === undefined) {
    throw new HttpProblem(406, "NotAcceptable", `Accept allows none of what there is: ${offered.join(", ")}.`);
  }
  return best;
}

interface Entry {
  readonly range: string;
  readonly quality: number;
}

function parseEntry(entry: string): Entry {
  const [range = "", ...parameters] = entry.split(";").map((piece) => piece.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith("q="));
  const quality = weight === undefined ? 1 : Number(weight.slice(2));
  return { range, quality: quality >= 0 && quality <= 1 ? quality : 0 };
}

/** The most specific range decides, as RFC 9110 has it. */
function qualityOf(type: string, entries: readonly Entry[]): number {
  const family = `${type.split("/", 1)[0] ?? ""}/*`;
  for (const range of [type, family, "*/*"]) {
    const matching = entries.filter((entry) => entry.range === range);
    if (matching.length > 0) {
      return Math.max(...matching.map((entry) => entry.quality));
    }
  }
  return 0;
}
