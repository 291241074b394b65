import { keyText } from "../key-text.ts";
import type { Operation } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { beginRemoval, dropParts, endRemoval, forgetDocument, hideDocument, unlist } from "./scripts.ts";

/** Parts deleted by one script. The server frees their memory in the background. */
const droppedPartsMax = 64;

/**
 * Removes a snapshot in steps, each of which can be repeated: it is noted as being removed, its document is hidden, its parts go, then its place in the list, its document, and the note. A leader that dies in between leaves the note,
 * and the next one goes on from there.
 */
export async function removeSnapshot(
  operation: Operation,
  keys: Keys,
  fence: string,
  term: number,
  id: string,
): Promise<"removed" | "fenced" | "missing"> {
  const document = keys.document(id);
  const encoded = keyText(id);
  const [begun] = await operation.script(beginRemoval, [keys.lease, keys.removing], [term, encoded]);
  if (begun === "fenced") {
    return "fenced";
  }
  const [hidden, position, idempotencyKey] = await operation.script(hideDocument, [document, fence], [term]);
  if (hidden === "fenced") {
    return "fenced";
  }
  const dropped = await drop(operation, keys, fence, term, id, Number.POSITIVE_INFINITY);
  if (dropped === "fenced") {
    return "fenced";
  }
  if (position !== undefined && idempotencyKey !== undefined) {
    const values = [term, encoded, position, idempotencyKey];
    const [unlisted] = await operation.script(unlist, [keys.lease, keys.index, keys.idempotency], values);
    const [forgotten] = await operation.script(forgetDocument, [document, fence], [term]);
    if (unlisted === "fenced" || forgotten === "fenced") {
      return "fenced";
    }
  }
  const [ended] = await operation.script(endRemoval, [keys.lease, keys.removing], [term, encoded]);
  if (ended === "fenced") {
    return "fenced";
  }
  return hidden === "absent" && dropped === 0 ? "missing" : "removed";
}

/** Drops the parts of the attempts up to `attemptThrough`; says how many there were. */
export async function drop(
  operation: Operation,
  keys: Keys,
  fence: string,
  term: number,
  id: string,
  attemptThrough: number,
): Promise<number | "fenced"> {
  const all = await operation.send((client) => client.smembers(keys.parts(id)));
  const names = all.filter((name) => Number(name.slice(0, name.indexOf("/"))) <= attemptThrough);
  let first = 0;
  // Once even when there is nothing to drop: it is the script that checks the term.
  do {
    const batch = names.slice(first, first + droppedPartsMax);
    const partKeys = batch.flatMap((name) => [keys.openPart(id, name), keys.committedPart(id, name)]);
    const [outcome] = await operation.script(
      dropParts,
      [keys.document(id), fence, keys.parts(id), ...partKeys],
      [term, ...batch],
    );
    if (outcome === "fenced") {
      return "fenced";
    }
    first += droppedPartsMax;
  } while (first < names.length);
  return names.length;
}
