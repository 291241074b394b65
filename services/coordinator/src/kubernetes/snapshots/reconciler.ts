import { isDeepStrictEqual } from "node:util";
import type { Snapshots } from "../../snapshots.ts";
import { isKubeError } from "../api/errors.ts";
import type { Objects } from "../api/resources.ts";
import type { Events } from "../events.ts";
import type { ControllerLimits } from "../limits.ts";
import type { QueueAnswer } from "../queue.ts";
import { snapshotKind, uidLabel } from "../resources/names.ts";
import type { GlobalSnapshot } from "../resources/objects.ts";
import type { SnapshotStatus } from "../resources/status.ts";
import { eventsOfChange } from "./events.ts";
import { type CoordinatorCall, planSnapshot, type SnapshotPlan, type SnapshotView } from "./plan.ts";

export interface SnapshotReconcilerOptions {
  readonly snapshots: Pick<Snapshots, "start" | "get" | "list" | "abort" | "remove">;
  readonly objects: Pick<Objects<GlobalSnapshot>, "patch" | "writeStatus" | "remove">;
  readonly cache: {
    get(key: string): GlobalSnapshot | undefined;
    /** What the API answered to a write. */
    learn(object: GlobalSnapshot): void;
  };
  readonly events: Pick<Events, "tell">;
  readonly limits: Pick<ControllerLimits, "progressMs" | "refusedMs" | "dataCheckMs">;
  /** The term in which this replica may write. `undefined`: it may not. */
  readonly writingTerm: () => number | undefined;
  readonly nowMs: () => number;
}

/** Calls to the coordinator in one pass: start, abort and remove, each once, and one to spare. */
const callsMax = 4;
/** After somebody else has written, until the watch brings what. */
const conflictMs = 200;
/** The Lease may be renewed late, and then nobody says that it was ever lost: what came meanwhile must not be forgotten. */
const notWritingMs = 500;

const done: QueueAnswer = { outcome: "done" };

/** One pass over one GlobalSnapshot: asks the coordinator, and writes at most once. */
export class SnapshotReconciler {
  readonly #options: SnapshotReconcilerOptions;

  constructor(options: SnapshotReconcilerOptions) {
    this.#options = options;
  }

  async reconcile(key: string): Promise<QueueAnswer> {
    const object = this.#options.cache.get(key);
    if (object === undefined) return done;
    let view: SnapshotView = { snapshot: await this.#find(object) };
    for (let calls = 0; ; calls += 1) {
      const term = this.#options.writingTerm();
      if (term === undefined) return { outcome: "again", afterMs: notWritingMs };
      const { limits, nowMs } = this.#options;
      const plan = planSnapshot(object, view, { ...limits, nowMs: nowMs(), term });
      if (plan.do !== "ask") return await this.#finish(object, plan);
      if (calls === callsMax) return { outcome: "again", afterMs: limits.progressMs };
      view = await this.#ask(plan.ask);
    }
  }

  async #find({ status, metadata }: GlobalSnapshot): Promise<SnapshotView["snapshot"]> {
    const { snapshots } = this.#options;
    if (status?.snapshotId !== undefined) return await snapshots.get(status.snapshotId);
    // A start whose outcome nobody wrote down: the coordinator before may have made it.
    const found = await snapshots.list({ labels: { [uidLabel]: metadata.uid }, limit: 1 });
    return found.snapshots[0];
  }

  async #ask(call: CoordinatorCall): Promise<SnapshotView> {
    const { snapshots } = this.#options;
    switch (call.type) {
      case "start": {
        const answer = await snapshots.start(call.request);
        return answer.outcome === "refused" ? { snapshot: undefined, refusal: answer } : { snapshot: answer.snapshot };
      }
      case "abort": {
        const answer = await snapshots.abort(call.id);
        if (answer.outcome === "aborted") return { snapshot: answer.snapshot, busy: true };
        return answer.outcome === "missing"
          ? { snapshot: undefined }
          : { snapshot: await snapshots.get(call.id), busy: true };
      }
      case "remove": {
        const outcome = await snapshots.remove(call.id);
        return outcome === "running" ? { snapshot: await snapshots.get(call.id), busy: true } : { snapshot: undefined };
      }
    }
  }

  async #finish(object: GlobalSnapshot, plan: Exclude<SnapshotPlan, { do: "ask" }>): Promise<QueueAnswer> {
    const { objects, cache } = this.#options;
    try {
      switch (plan.do) {
        case "finalizers": {
          cache.learn(await objects.patch(object, { metadata: { finalizers: plan.finalizers } }));
          return object.metadata.deletionTimestamp === undefined ? { outcome: "again", afterMs: 0 } : done;
        }
        case "deleteObject":
          await objects.remove(object);
          return done;
        case "status":
          await this.#write(object, plan.status);
          return again(plan.againMs);
        case "rest":
          return again(plan.againMs);
      }
    } catch (error) {
      if (isKubeError(error, "KubeConflict")) return { outcome: "again", afterMs: conflictMs };
      if (isKubeError(error, "KubeNotFound")) return done;
      throw error;
    }
  }

  async #write(object: GlobalSnapshot, status: SnapshotStatus): Promise<void> {
    const { objects, cache, events } = this.#options;
    // The term alone is no news.
    if (isDeepStrictEqual({ ...object.status, term: 0 }, { ...status, term: 0 })) return;
    const written = await objects.writeStatus(object, status);
    cache.learn(written);
    await events.tell(snapshotKind, written, eventsOfChange(object.status, status));
  }
}

function again(afterMs: number | undefined): QueueAnswer {
  return afterMs === undefined ? done : { outcome: "again", afterMs };
}
