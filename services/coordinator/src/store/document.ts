import { Snapshot } from "@cutline/proto/snapshot";
import { StoreError } from "./port.ts";

/** The phase that only `publish` may write. */
const publishedPhase = "Completed";

/** Proto3 JSON of a document that is still being worked on; refuses a Completed one (`RangeError`, a programming error). */
export function writeOpenDocument(snapshot: Snapshot): string {
  if (snapshot.phase === publishedPhase) {
    throw new RangeError(
      `Snapshot ${snapshot.id} is ${publishedPhase}: that phase is written with publish, never otherwise.`,
    );
  }
  return writeDocument(snapshot);
}

/** Proto3 JSON of a Completed document; refuses any other phase (`RangeError`, a programming error). */
export function writePublishedDocument(snapshot: Snapshot): string {
  if (snapshot.phase !== publishedPhase) {
    throw new RangeError(`Snapshot ${snapshot.id} is ${snapshot.phase}: publish writes ${publishedPhase} ones only.`);
  }
  return writeDocument(snapshot);
}

/** Rejects what is no document of this snapshot with `StoreCorrupt`. */
export function readDocument(id: string, text: string): Snapshot {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw corrupt(id, "it is not JSON", cause);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw corrupt(id, "it is not an object");
  }
  // Proto3 JSON leaves out the empty string.
  if (((json as { id?: unknown }).id ?? "") !== id) {
    throw corrupt(id, "it carries another snapshot's id");
  }
  try {
    return Snapshot.fromJSON(json);
  } catch (cause) {
    throw corrupt(id, "it is not a snapshot", cause);
  }
}

export function corrupt(id: string, why: string, cause?: unknown): StoreError {
  return new StoreError(
    "StoreCorrupt",
    `The stored document of snapshot ${id} cannot be read: ${why}. Remove the snapshot, or restore the store from a backup.`,
    { cause },
  );
}

function writeDocument(snapshot: Snapshot): string {
  const json = Snapshot.toJSON(snapshot) as { labels?: object; scope?: { labelSelector?: object } };
  // The generated code assigns map entries one by one, and so loses one that is called __proto__.
  json.labels = Object.fromEntries(Object.entries(snapshot.labels));
  if (json.scope !== undefined && snapshot.scope !== undefined) {
    json.scope.labelSelector = Object.fromEntries(Object.entries(snapshot.scope.labelSelector));
  }
  return JSON.stringify(json);
}
