import { isDeepStrictEqual } from "node:util";
import { isKubeError } from "../api/errors.ts";
import type { Objects } from "../api/resources.ts";
import type { Events } from "../events.ts";
import type { QueueAnswer } from "../queue.ts";
import { scheduleKind } from "../resources/names.ts";
import type { GlobalSnapshot, GlobalSnapshotSchedule } from "../resources/objects.ts";
import { isOwnedBy, planSchedule, snapshotOf } from "./plan.ts";

export interface ScheduleReconcilerOptions {
  readonly schedules: Pick<Objects<GlobalSnapshotSchedule>, "writeStatus">;
  readonly snapshots: Pick<Objects<GlobalSnapshot>, "create" | "patch" | "remove">;
  readonly cache: {
    get(key: string): GlobalSnapshotSchedule | undefined;
    learn(object: GlobalSnapshotSchedule): void;
    snapshots(): Iterable<GlobalSnapshot>;
  };
  readonly events: Pick<Events, "tell">;
  readonly writingTerm: () => number | undefined;
  readonly nowMs: () => number;
}

/** After somebody else has written, until the watch brings what. */
const conflictMs = 200;
/** The Lease may be renewed late, and then nobody says that it was ever lost: what came meanwhile must not be forgotten. */
const notWritingMs = 500;

/** One pass over one schedule: makes, aborts and removes snapshots, and writes the status once. */
export class ScheduleReconciler {
  readonly #options: ScheduleReconcilerOptions;

  constructor(options: ScheduleReconcilerOptions) {
    this.#options = options;
  }

  async reconcile(key: string): Promise<QueueAnswer> {
    const { cache, schedules, snapshots, events, writingTerm, nowMs } = this.#options;
    const object = cache.get(key);
    const term = writingTerm();
    if (object === undefined) return { outcome: "done" };
    if (term === undefined) return { outcome: "again", afterMs: notWritingMs };
    const children = [...cache.snapshots()].filter((child) => isOwnedBy(child, object));
    const plan = planSchedule(object, children, { nowMs: nowMs(), term });
    try {
      for (const child of plan.abort) await settled(snapshots.patch(child, { spec: { abort: true } }));
      if (plan.create !== undefined) {
        // Its name is its time's: made twice, it is there once.
        await settled(snapshots.create(object.metadata.namespace, snapshotOf(object, plan.create)), "KubeConflict");
      }
      for (const child of plan.remove) await settled(snapshots.remove(child));
      if (plan.status !== undefined && differs(object.status, plan.status)) {
        cache.learn(await schedules.writeStatus(object, plan.status));
      }
      await events.tell(scheduleKind, object, plan.events);
    } catch (error) {
      if (isKubeError(error, "KubeConflict")) return { outcome: "again", afterMs: conflictMs };
      if (isKubeError(error, "KubeNotFound")) return { outcome: "done" };
      throw error;
    }
    return plan.againMs === undefined ? { outcome: "done" } : { outcome: "again", afterMs: plan.againMs };
  }
}

/** What is gone already needs no more. */
async function settled(write: Promise<unknown>, also?: "KubeConflict"): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (isKubeError(error, "KubeNotFound") || (also !== undefined && isKubeError(error, also))) return;
    throw error;
  }
}

/** The term alone is no news. */
function differs(before: object | undefined, after: object): boolean {
  return !isDeepStrictEqual({ ...before, term: 0 }, { ...after, term: 0 });
}
