import type { Snapshot } from "@cutline/proto/snapshot";
import type { Store } from "../store/port.ts";
import { isTerminal, runningPhases } from "./documents.ts";

const pageSize = 100;
/** Pages looked at in one pass; more than the running snapshots there can be. */
const pagesMax = 50;

/** The snapshots that the store says are running and that nobody here drives. */
export async function findOrphans(
  store: Pick<Store, "list" | "get">,
  isLive: (id: string) => boolean,
): Promise<Snapshot[]> {
  const orphans: Snapshot[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < pagesMax; page += 1) {
    const query = { phases: runningPhases, limit: pageSize, ...(cursor === undefined ? {} : { cursor }) };
    const { snapshots, next } = await store.list(query);
    for (const { id } of snapshots) {
      if (isLive(id)) continue;
      // Read again: it may have ended since the page was made.
      const snapshot = await store.get(id);
      if (snapshot !== undefined && !isTerminal(snapshot) && !isLive(id)) orphans.push(snapshot);
    }
    if (next === undefined) break;
    cursor = next;
  }
  return orphans;
}
