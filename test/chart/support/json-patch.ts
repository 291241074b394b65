import { isObject, type Json, type PatchOperation } from "@cutline/injection";

type Container = Json[] | Record<string, Json>;

/** RFC 6902, as much of it as patches of pods have; as the API server does it. */
export function patched(document: Json, operations: readonly PatchOperation[]): Json {
  const root = { "": structuredClone(document) } as Record<string, Json>;
  for (const operation of operations) {
    const keys = ["", ...operation.path.split("/").slice(1).map(unescaped)];
    const last = keys.pop() ?? "";
    let at: Container = root;
    for (const key of keys) at = inside(at, key, operation.path);
    change(at, last, operation);
  }
  return root[""] ?? null;
}

const unescaped = (key: string) => key.replaceAll("~1", "/").replaceAll("~0", "~");

function inside(at: Container, key: string, path: string): Container {
  const found = Array.isArray(at) ? at[Number(key)] : at[key];
  if (Array.isArray(found)) return found;
  if (isObject(found)) return found as Record<string, Json>;
  throw new Error(`${path}: there is nothing at ${key}`);
}

function change(at: Container, key: string, operation: PatchOperation): void {
  if (Array.isArray(at)) {
    const index = key === "-" ? at.length : Number(key);
    if (operation.op === "remove") at.splice(index, 1);
    else at.splice(index, operation.op === "add" ? 0 : 1, operation.value);
  } else if (operation.op === "remove") delete at[key];
  else at[key] = operation.value;
}
