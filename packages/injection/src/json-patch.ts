import { definedKeys, isEqual, isObject, type Json, type JsonObject } from "./json.ts";

/** One operation of RFC 6902. `path` is a JSON pointer. */
export type PatchOperation =
  | { readonly op: "add" | "replace"; readonly path: string; readonly value: Json }
  | { readonly op: "remove"; readonly path: string };

/**
 * What makes `to` of `from`: nothing where they are equal, and no more than the items that differ in lists whose items
 * have names (containers, variables, volumes).
 */
export function diff(from: Json, to: Json, path = ""): PatchOperation[] {
  if (isEqual(from, to)) return [];
  if (isObject(from) && isObject(to)) return diffObjects(from, to, path);
  if (Array.isArray(from) && Array.isArray(to)) return diffLists(from, to, path);
  return [{ op: "replace", path, value: to }];
}

function diffObjects(from: JsonObject, to: JsonObject, path: string): PatchOperation[] {
  const operations: PatchOperation[] = [];
  for (const key of definedKeys(from)) {
    if (to[key] === undefined) operations.push({ op: "remove", path: `${path}/${escaped(key)}` });
  }
  for (const key of definedKeys(to)) {
    const [before, after] = [from[key], to[key]];
    if (after === undefined) continue;
    const at = `${path}/${escaped(key)}`;
    if (before === undefined) operations.push({ op: "add", path: at, value: after });
    else operations.push(...diff(before, after, at));
  }
  return operations;
}

function diffLists(from: readonly Json[], to: readonly Json[], path: string): PatchOperation[] {
  const [before, after] = [namesOf(from), namesOf(to)];
  if (before === undefined || after === undefined) return diffUnnamed(from, to, path);
  const operations: PatchOperation[] = [];
  // Lists are as long as strangers make them, so names are looked up rather than searched.
  const [known, wanted] = [new Set(before), new Set(after)];
  const kept: number[] = [];
  for (let index = before.length - 1; index >= 0; index -= 1) {
    if (wanted.has(before[index] ?? "")) kept.push(index);
    else operations.push({ op: "remove", path: `${path}/${index}` });
  }
  for (const [index, value] of to.entries()) {
    const name = after[index] ?? "";
    if (!known.has(name)) {
      operations.push({ op: "add", path: `${path}/${index}`, value });
      continue;
    }
    const at = kept.pop();
    // The order has changed: no sequence of single steps is shorter to read than the list.
    if (at === undefined || before[at] !== name) return [{ op: "replace", path, value: to }];
    for (const operation of diff(from[at] ?? null, value, `${path}/${index}`)) operations.push(operation);
  }
  return operations;
}

/** Additions and removals at the end of the list; anything else replaces it. */
function diffUnnamed(from: readonly Json[], to: readonly Json[], path: string): PatchOperation[] {
  const common = Math.min(from.length, to.length);
  if (!isEqual(from.slice(0, common), to.slice(0, common))) return [{ op: "replace", path, value: to }];
  const removed = from.slice(common).map((_, index): PatchOperation => {
    return { op: "remove", path: `${path}/${from.length - 1 - index}` };
  });
  const added = to.slice(common).map((value, index): PatchOperation => {
    return { op: "add", path: `${path}/${common + index}`, value };
  });
  return [...removed, ...added];
}

/** `undefined`: not every item has a name of its own. */
function namesOf(list: readonly Json[]): string[] | undefined {
  const names = list.map((item) => (isObject(item) && typeof item.name === "string" ? item.name : undefined));
  const known = names.filter((name) => name !== undefined);
  return known.length === list.length && new Set(known).size === list.length ? known : undefined;
}

const escaped = (key: string) => key.replaceAll("~", "~0").replaceAll("/", "~1");

/** The keys of a JSON pointer. */
export function keysOf(path: string): string[] {
  return path
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
}
