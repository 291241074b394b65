import { asRecord } from "../json.ts";

/** One place where two JSON documents differ. `before` or `after` is absent where only the other one has the place. */
export interface JsonDifference {
  /** `$.accounts[3]["first name"]`. */
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

const plainKey = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** In the order of the documents, at most `max`; `more`: there are others. */
export function compareJson(
  before: unknown,
  after: unknown,
  max: number,
): { readonly differences: readonly JsonDifference[]; readonly more: boolean } {
  const differences: JsonDifference[] = [];
  // A document may be nested deeper than the stack is.
  const waiting: JsonDifference[] = [{ path: "$", before, after }];
  for (let pair = waiting.pop(); pair !== undefined; pair = waiting.pop()) {
    const inner = partsOf(pair);
    if (inner !== undefined) waiting.push(...inner.reverse());
    else if (!isSame(pair)) {
      if (differences.length >= max) return { differences, more: true };
      differences.push(pair);
    }
  }
  return { differences, more: false };
}

function partsOf({ path, before, after }: JsonDifference): JsonDifference[] | undefined {
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    return Array.from({ length }, (_, at) => ({
      path: `${path}[${at}]`,
      ...(at < before.length && { before: before[at] as unknown }),
      ...(at < after.length && { after: after[at] as unknown }),
    }));
  }
  const [one, other] = [asRecord(before), asRecord(after)];
  if (one === undefined || other === undefined) return undefined;
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].map((key) => ({
    path: plainKey.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`,
    ...(Object.hasOwn(one, key) && { before: one[key] }),
    ...(Object.hasOwn(other, key) && { after: other[key] }),
  }));
}

function isSame(pair: JsonDifference): boolean {
  return "before" in pair === "after" in pair && pair.before === pair.after;
}
