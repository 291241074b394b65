import { StoreError, type StoreErrorCode } from "../port.ts";

/** The first word of a server's refusal, and what it means. Nothing was changed then. */
const refusals: ReadonlyMap<string, readonly [code: StoreErrorCode, advice: string]> = new Map([
  ["OOM", ["StoreFull", "Remove snapshots, or raise maxmemory."]],
  ["READONLY", ["StoreReadOnly", "The server is a replica; the next call connects anew to find the master."]],
  ["LOADING", ["StoreUnavailable", "The server is still reading its data; try again."]],
  ["CLUSTERDOWN", ["StoreUnavailable", "The cluster does not serve all its slots."]],
  ["TRYAGAIN", ["StoreUnavailable", "Slots are being moved; try again."]],
  ["BUSY", ["StoreUnavailable", "The server runs a long script; try again."]],
  ["MASTERDOWN", ["StoreUnavailable", "The replica has lost its master."]],
  ["MISCONF", ["StoreUnavailable", "The server cannot save to its disk and refuses writes."]],
  ["NOREPLICAS", ["StoreUnavailable", "Too few replicas are connected."]],
  ["NOAUTH", ["StoreUnavailable", "Give a user and password in the store's URL."]],
  ["WRONGPASS", ["StoreUnavailable", "Check user and password in the store's URL."]],
  ["NOPERM", ["StoreUnavailable", "The user lacks rights for a command or key."]],
  ["WRONGTYPE", ["StoreCorrupt", "Something else writes keys with the store's prefix; give the store one of its own."]],
]);

/** What ioredis says when it has not sent the command. */
const unsentPattern = /isn't (?:writeable|ready) and enableOfflineQueue/;

export function firstWord(error: unknown): string {
  return error instanceof Error ? (error.message.split(" ", 1)[0] ?? "") : "";
}

export function storeError(what: string, error: unknown, outcomeUnknown: boolean, kind: "read" | "write"): StoreError {
  if (error instanceof StoreError) {
    return error;
  }
  const message = error instanceof Error ? error.message : String(error);
  const refusal = refusals.get(firstWord(error));
  if (refusal !== undefined) {
    return new StoreError(refusal[0], `Redis refused to ${what}: ${message} ${refusal[1]}`, {
      cause: error,
      outcomeUnknown,
    });
  }
  return new StoreError("StoreUnavailable", `Redis could not ${what}: ${message}.`, {
    cause: error,
    outcomeUnknown: outcomeUnknown || (kind === "write" && !unsentPattern.test(message)),
  });
}
