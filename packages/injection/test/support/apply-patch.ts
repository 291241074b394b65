import { isObject, type Json } from "../../src/json.ts";
import { keysOf, type PatchOperation } from "../../src/json-patch.ts";

/** Applies what `diff` writes; throws where a path does not exist. The document that is given stays as it is. */
export function applyPatch(document: Json, operations: readonly PatchOperation[]): Json {
  return operations.reduce((current, operation) => applyAt(current, keysOf(operation.path), operation), document);
}

function applyAt(value: Json, [key, ...rest]: readonly string[], operation: PatchOperation): Json {
  if (key === undefined) return operation.op === "remove" ? null : operation.value;
  if (Array.isArray(value)) {
    const index = Number(key);
    const isAddition = rest.length === 0 && operation.op === "add";
    if (!Number.isInteger(index) || index < 0 || index >= value.length + (isAddition ? 1 : 0)) throw missing(operation);
    if (rest.length > 0) return value.with(index, applyAt(value[index], rest, operation));
    if (operation.op === "remove") return value.toSpliced(index, 1);
    return operation.op === "add" ? value.toSpliced(index, 0, operation.value) : value.with(index, operation.value);
  }
  if (!isObject(value)) throw missing(operation);
  const before = value[key];
  if (before === undefined && (rest.length > 0 || operation.op !== "add")) throw missing(operation);
  if (rest.length > 0) return { ...value, [key]: applyAt(before ?? null, rest, operation) };
  if (operation.op !== "remove") return { ...value, [key]: operation.value };
  const { [key]: _, ...others } = value;
  return others;
}

function missing({ op, path }: PatchOperation): Error {
  return new RangeError(`cannot ${op}: there is no ${path}`);
}
