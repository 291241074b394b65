import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { SnapshotRef, StoredPart } from "@cutline/protocol";
import type { Logger } from "@cutline/runtime";
import { type Store, StoreError } from "../store/port.ts";

/** Parts read at the same time. */
const readsMax = 4;
const retryMs = 250;

export type PartsVerdict =
  | { readonly outcome: "verified" }
  | { readonly outcome: "corrupt"; readonly message: string }
  /** The attempt is over; nobody wants to know any more. */
  | { readonly outcome: "stopped" };

/**
 * Reads every part back and compares size and hash with what was committed (I5). A store that does not answer is asked
 * again until `signal` ends the attempt.
 */
export async function verifyParts(
  store: Pick<Store, "readPart">,
  ref: SnapshotRef,
  parts: readonly StoredPart[],
  signal: AbortSignal,
  logger: Logger,
): Promise<PartsVerdict> {
  const waiting = [...parts];
  let corrupt: string | undefined;
  const work = async (): Promise<void> => {
    for (let part = waiting.shift(); part !== undefined && corrupt === undefined; part = waiting.shift()) {
      if (signal.aborted) return;
      corrupt ??= await verifyPart(store, ref, part, signal, logger);
    }
  };
  await Promise.all(Array.from({ length: readsMax }, work));
  if (corrupt !== undefined) return { outcome: "corrupt", message: corrupt };
  return signal.aborted ? { outcome: "stopped" } : { outcome: "verified" };
}

/** What is wrong with the part; `undefined`: nothing. */
async function verifyPart(
  store: Pick<Store, "readPart">,
  ref: SnapshotRef,
  part: StoredPart,
  signal: AbortSignal,
  logger: Logger,
): Promise<string | undefined> {
  const { kind, owner, sha256, sizeBytes } = part;
  const name = `the ${kind} part of ${owner}`;
  while (!signal.aborted) {
    try {
      const hash = createHash("sha256");
      let readBytes = 0;
      for await (const chunk of store.readPart({ ...ref, kind, owner })) {
        if (signal.aborted) return undefined;
        hash.update(chunk);
        readBytes += chunk.length;
      }
      if (hash.digest("hex") === sha256 && readBytes === sizeBytes) return undefined;
      return `${name} was stored with ${sizeBytes} bytes and reads back as ${readBytes} others`;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.code === "StorePartMissing" || error.code === "StorePartCorrupt") return `${name}: ${error.message}`;
      logger.warn({ ...ref, kind, owner, error }, "part not read back yet");
      await sleep(retryMs);
    }
  }
  return undefined;
}
