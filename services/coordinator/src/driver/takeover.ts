import type { Snapshot } from "@cutline/proto/snapshot";
import type { Store } from "../store/port.ts";
import { runningPhases } from "./documents.ts";

const pageSize = 100;
/** Pages looked at in one pass; more than the running snapshots there can be. */
const pagesMax = 50;

/** What the store says of the snapshots that it lists as running, but for those that are live here. */
export async function findRunning(
  store: Pick<Store, "list" | "get">,
  isLive: (id: string) => boolean,
): Promise<Snapshot[]> {
  const found: Snapshot[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < pagesMax; page += 1) {
    const query = { phases: runningPhases, limit: pageSize, ...(cursor === undefined ? {} : { cursor }) };
    const { snapshots, next } = await store.list(query);
    for (const { id } of snapshots) {
      if (isLive(id)) continue;
      // Read again: it may have ended since the page was made.
      const snapshot = await store.get(id);
      if (snapshot !== undefined) found.push(snapshot);
    }
    if (next === undefined) break;
    cursor = next;
  }
  return found;
}
