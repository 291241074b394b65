import type { Logger } from "@cutline/runtime";
import type { Store } from "../store/port.ts";
import { timeOf } from "./clock.ts";
import { endedPhases } from "./documents.ts";
import type { DriverLimits } from "./limits.ts";

const pageSize = 100;
/** Snapshots removed in one pass; the next pass goes on. */
const removalsMax = 100;
/** Pages looked at in one pass. */
const pagesMax = 50;

/** Removes ended snapshots beyond `keepMax`, the oldest first to go, and those older than `keepMs`. */
export async function removeOld(
  store: Pick<Store, "list" | "remove">,
  term: number,
  limits: Pick<DriverLimits, "keepMax" | "keepMs">,
  nowMs: number,
  logger: Logger,
): Promise<void> {
  const old: string[] = [];
  let kept = 0;
  let cursor: string | undefined;
  for (let page = 0; page < pagesMax && old.length < removalsMax; page += 1) {
    const query = { phases: endedPhases, limit: pageSize, ...(cursor === undefined ? {} : { cursor }) };
    const { snapshots, next } = await store.list(query);
    for (const { id, endedAt } of snapshots) {
      const ageMs = nowMs - (timeOf(endedAt) ?? nowMs);
      if (kept >= limits.keepMax || (limits.keepMs > 0 && ageMs > limits.keepMs)) old.push(id);
      else kept += 1;
    }
    if (next === undefined) break;
    cursor = next;
  }
  for (const id of old.slice(0, removalsMax)) {
    const outcome = await store.remove(term, id);
    logger.info({ snapshotId: id, outcome }, "old snapshot removed");
    if (outcome === "fenced") return;
  }
}
