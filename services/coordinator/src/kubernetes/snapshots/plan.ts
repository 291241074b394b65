import type { Snapshot } from "@cutline/proto/snapshot";
import type { StartRequest } from "../../snapshots.ts";
import { finalizer, uidLabel } from "../resources/names.ts";
import type { GlobalSnapshot } from "../resources/objects.ts";
import type { SnapshotStatus } from "../resources/status.ts";
import {
  conditionIs,
  goneStatus,
  hasEnded,
  lostStatus,
  type StatusContext,
  statusOf,
  waitingStatus,
} from "./status.ts";

/** What the coordinator says, as far as this pass has asked it. */
export interface SnapshotView {
  /** The one that belongs to the object. `undefined`: there is none. */
  readonly snapshot: Snapshot | undefined;
  /** The start that this pass asked for was refused. */
  readonly refusal?: { readonly code: string; readonly message: string; readonly retryAfterMs?: number };
  /** The coordinator was asked to end or remove it in this pass and could not yet. */
  readonly busy?: true;
}

export interface PlanContext extends StatusContext {
  readonly progressMs: number;
  readonly refusedMs: number;
  readonly dataCheckMs: number;
}

/** The one thing to do next. `ask`: do it, look again, and plan again; anything else ends the pass. */
export type SnapshotPlan =
  | { readonly do: "ask"; readonly ask: CoordinatorCall }
  | { readonly do: "finalizers"; readonly finalizers: readonly string[] }
  | { readonly do: "deleteObject" }
  /** Written when it differs from what is there. */
  | { readonly do: "status"; readonly status: SnapshotStatus; readonly againMs?: number }
  | { readonly do: "rest"; readonly againMs?: number };

export type CoordinatorCall =
  | { readonly type: "start"; readonly request: StartRequest }
  | { readonly type: "abort"; readonly id: string }
  | { readonly type: "remove"; readonly id: string };

/** Between two looks while something is about to end. */
const busyMs = 250;

/**
 * Decides from the object and the coordinator's view alone: the same question has the same answer, whatever happened
 * before, and whoever asks it.
 */
export function planSnapshot(object: GlobalSnapshot, view: SnapshotView, context: PlanContext): SnapshotPlan {
  const { metadata, status } = object;
  // A later leader has written: whatever this one knows is older (I9).
  if ((status?.term ?? 0) > context.term) return { do: "rest" };
  if (metadata.deletionTimestamp !== undefined) return planDeletion(object, view);
  if (hasEnded(status?.phase)) return planEnded(object, view, context);
  const finalizers = metadata.finalizers ?? [];
  if (!finalizers.includes(finalizer)) return { do: "finalizers", finalizers: [...finalizers, finalizer] };
  return planRunning(object, view, context);
}

function planDeletion({ metadata, spec }: GlobalSnapshot, { snapshot, busy }: SnapshotView): SnapshotPlan {
  const finalizers = metadata.finalizers ?? [];
  if (!finalizers.includes(finalizer)) return { do: "rest" };
  const release: SnapshotPlan = { do: "finalizers", finalizers: finalizers.filter((each) => each !== finalizer) };
  if (snapshot === undefined || spec.deletionPolicy === "Keep") return release;
  if (busy) return { do: "rest", againMs: busyMs };
  const type = hasEnded(snapshot.phase) ? "remove" : "abort";
  return { do: "ask", ask: { type, id: snapshot.id } };
}

function planRunning(object: GlobalSnapshot, view: SnapshotView, context: PlanContext): SnapshotPlan {
  const { spec, status, metadata } = object;
  const { snapshot, refusal, busy } = view;
  const { nowMs, progressMs, refusedMs } = context;
  if (snapshot !== undefined) {
    if (spec.abort && !hasEnded(snapshot.phase) && !busy) return { do: "ask", ask: { type: "abort", id: snapshot.id } };
    const ended = hasEnded(snapshot.phase);
    const againMs = ended ? untilExpiry(object, snapshot.endedAt, context) : busy ? busyMs : progressMs;
    return { do: "status", status: statusOf(object, snapshot, context), againMs };
  }
  if (status?.snapshotId !== undefined) return { do: "status", status: lostStatus(object, context) };
  if (spec.abort) {
    const why = { code: "Aborted", message: "aborted before it had begun" };
    return { do: "status", status: waitingStatus(object, why, "Aborted", context) };
  }
  if (refusal === undefined) return { do: "ask", ask: { type: "start", request: requestOf(object) } };
  const deadlineMs = Date.parse(metadata.creationTimestamp) + spec.startingDeadlineSeconds * 1_000;
  if (nowMs >= deadlineMs) {
    const message = `not started within ${spec.startingDeadlineSeconds} s: ${refusal.message}`;
    return { do: "status", status: waitingStatus(object, { ...refusal, message }, "Failed", context) };
  }
  const againMs = Math.min(refusal.retryAfterMs ?? refusedMs, deadlineMs - nowMs);
  return { do: "status", status: waitingStatus(object, refusal, "Pending", context), againMs };
}

function planEnded(object: GlobalSnapshot, view: SnapshotView, context: PlanContext): SnapshotPlan {
  const { spec, status } = object;
  const { snapshot, busy } = view;
  const againMs = untilExpiry(object, status?.endedAt, context);
  const expired = isExpired(object, context);
  if (snapshot !== undefined) {
    if (!expired)
      return { do: "status", status: { ...status, observedGeneration: object.metadata.generation }, againMs };
    return busy
      ? { do: "rest", againMs: busyMs }
      : { do: "ask", ask: { type: hasEnded(snapshot.phase) ? "remove" : "abort", id: snapshot.id } };
  }
  const hadData = conditionIs(object, "DataAvailable", "True");
  if (spec.expiryPolicy === "Delete" && (expired || hadData)) return { do: "deleteObject" };
  if (!hadData) return { do: "status", status: { ...status, observedGeneration: object.metadata.generation } };
  const data = expired
    ? ({ is: "expired", message: `deleted ${spec.ttlSecondsAfterFinished} s after the end, as the spec says` } as const)
    : ({ is: "gone", message: "the coordinator's retention, or a request to it, has removed the data" } as const);
  return { do: "status", status: goneStatus(object, data, context) };
}

function isExpired({ spec, status }: GlobalSnapshot, { nowMs }: PlanContext): boolean {
  const ttl = spec.ttlSecondsAfterFinished;
  return ttl !== undefined && nowMs >= Date.parse(status?.endedAt ?? "") + ttl * 1_000;
}

/** When to look again at a snapshot that has ended: at its expiry, and now and then, for the data may go. */
function untilExpiry(
  { spec }: GlobalSnapshot,
  endedAt: string | undefined,
  { nowMs, dataCheckMs }: PlanContext,
): number {
  const ttl = spec.ttlSecondsAfterFinished;
  const endedAtMs = Date.parse(endedAt ?? "");
  if (ttl === undefined || Number.isNaN(endedAtMs)) return dataCheckMs;
  return Math.max(0, Math.min(dataCheckMs, endedAtMs + ttl * 1_000 - nowMs));
}

/** The object's UID makes asking twice safe, and finds the snapshot again. */
function requestOf({ metadata, spec }: GlobalSnapshot): StartRequest {
  const { scope } = spec;
  return {
    idempotencyKey: metadata.uid,
    timeoutMs: spec.timeoutSeconds * 1_000,
    attempts: spec.attempts,
    labels: { ...spec.labels, [uidLabel]: metadata.uid },
    ...(spec.initiator !== undefined && { initiator: spec.initiator }),
    ...(scope !== undefined && {
      scope: { namespaces: scope.namespaces ?? [], labelSelector: scope.labelSelector?.matchLabels ?? {} },
    }),
  };
}
