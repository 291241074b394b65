import { readCron } from "../../schedule/cron.ts";
import { type ConditionFacts, kubeTime, mergeConditions } from "../conditions.ts";
import type { EventFacts } from "../events.ts";
import {
  apiVersion,
  scheduledAtAnnotation,
  scheduleKind,
  scheduleLabel,
  scheduleNameCharsMax,
} from "../resources/names.ts";
import type { GlobalSnapshot, GlobalSnapshotSchedule } from "../resources/objects.ts";
import { activeMax, type ScheduleStatus } from "../resources/status.ts";
import { hasEnded } from "../snapshots/status.ts";

export interface ScheduleContext {
  readonly nowMs: number;
  readonly term: number;
}

export interface NewSnapshot {
  readonly name: string;
  readonly scheduledAtMs: number;
}

/** What one pass does: everything that is named, the status last. */
export interface SchedulePlan {
  readonly create: NewSnapshot | undefined;
  readonly abort: readonly GlobalSnapshot[];
  readonly remove: readonly GlobalSnapshot[];
  readonly status: ScheduleStatus | undefined;
  readonly events: readonly EventFacts[];
  /** At the next time, if nothing else happens before. */
  readonly againMs: number | undefined;
}

/** Snapshots removed in one pass; the next goes on. */
const removalsMax = 20;
/** A timer does not go further. */
const againMsMax = 3_600_000;

const nothing: SchedulePlan = {
  create: undefined,
  abort: [],
  remove: [],
  status: undefined,
  events: [],
  againMs: undefined,
};

/** Decides from the schedule, its snapshots and the time alone. Of times that were missed only the newest is made up for. */
export function planSchedule(
  object: GlobalSnapshotSchedule,
  children: readonly GlobalSnapshot[],
  context: ScheduleContext,
): SchedulePlan {
  const { spec, status, metadata } = object;
  if ((status?.term ?? 0) > context.term || metadata.deletionTimestamp !== undefined) return nothing;
  const { nowMs } = context;
  const remove = beyondHistory(object, children);
  const nameTooLong = metadata.name.length > scheduleNameCharsMax;
  const cron = nameTooLong
    ? ({ outcome: "invalid", message: `the name has more than ${scheduleNameCharsMax} characters` } as const)
    : readCron(spec.schedule, spec.timeZone);
  if (cron.outcome === "invalid") {
    const events: EventFacts[] = isKnownInvalid(object, cron.message)
      ? []
      : [{ type: "Warning", reason: "InvalidSchedule", message: cron.message }];
    const valid: ConditionFacts = { type: "Valid", status: "False", reason: "InvalidSchedule", message: cron.message };
    return { ...nothing, remove, events, status: statusOf(object, children, context, { valid }) };
  }
  const active = children.filter(isActive);
  const due = spec.suspend ? undefined : dueMs(object, children, cron.times.latest(nowMs));
  const nextMs = spec.suspend ? undefined : cron.times.next(nowMs);
  const valid: ConditionFacts = {
    type: "Valid",
    status: "True",
    reason: spec.suspend ? "Suspended" : "Scheduled",
    message: spec.suspend ? "no snapshot is started while it is suspended" : "its times can be read",
  };
  const untilNextMs = nextMs === undefined ? undefined : Math.min(againMsMax, Math.max(1, nextMs - nowMs));
  const changes = { valid, nextMs };
  const idle = { ...nothing, remove, againMs: untilNextMs };
  if (due === undefined) return { ...idle, status: statusOf(object, children, context, changes) };

  const deadlineMs = due + spec.startingDeadlineSeconds * 1_000;
  const blocked = spec.concurrencyPolicy === "Forbid" && active.length > 0;
  if (nowMs > deadlineMs) {
    const why = blocked ? "the snapshot before still ran" : "it could not be started in time";
    const message = `no snapshot for ${kubeTime(due)}: ${why} (startingDeadlineSeconds: ${spec.startingDeadlineSeconds})`;
    const events: EventFacts[] = [{ type: "Warning", reason: "Missed", message }];
    return { ...idle, events, status: statusOf(object, children, context, { ...changes, missedMs: due }) };
  }
  if (blocked) {
    const againMs = Math.min(untilNextMs ?? againMsMax, deadlineMs - nowMs + 1);
    return { ...idle, againMs, status: statusOf(object, children, context, changes) };
  }
  const name = `${metadata.name}-${Math.floor(due / 60_000)}`;
  return {
    ...idle,
    create: { name, scheduledAtMs: due },
    abort: spec.concurrencyPolicy === "Replace" ? active.filter(({ spec: { abort } }) => !abort) : [],
    events: [{ type: "Normal", reason: "Created", message: `made GlobalSnapshot ${name} for ${kubeTime(due)}` }],
    status: statusOf(object, children, context, { ...changes, scheduledMs: due }),
  };
}

/** The object to make. Owned by the schedule: it goes when the schedule goes. */
export function snapshotOf({ metadata, spec }: GlobalSnapshotSchedule, { name, scheduledAtMs }: NewSnapshot) {
  const { template } = spec;
  return {
    metadata: {
      name,
      labels: { ...template.metadata?.labels, [scheduleLabel]: metadata.name },
      annotations: { ...template.metadata?.annotations, [scheduledAtAnnotation]: kubeTime(scheduledAtMs) },
      ownerReferences: [{ apiVersion, kind: scheduleKind, name: metadata.name, uid: metadata.uid, controller: true }],
    },
    spec: template.spec ?? {},
  };
}

/** The schedule that owns the snapshot, as `namespace/name`. */
export function ownerKeyOf({ metadata }: GlobalSnapshot): string | undefined {
  const owner = metadata.ownerReferences?.find(({ kind, controller }) => kind === scheduleKind && controller === true);
  return owner === undefined ? undefined : `${metadata.namespace}/${owner.name}`;
}

export function isOwnedBy({ metadata }: GlobalSnapshot, schedule: GlobalSnapshotSchedule): boolean {
  const { uid, namespace } = schedule.metadata;
  return metadata.namespace === namespace && (metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false);
}

/** The newest time, when nothing was made or missed for it yet. */
function dueMs(
  { metadata, status }: GlobalSnapshotSchedule,
  children: readonly GlobalSnapshot[],
  latestMs: number | undefined,
): number | undefined {
  const settled = [
    metadata.creationTimestamp,
    status?.lastScheduledAt,
    status?.lastMissedAt,
    // Made, and not written down: the leader before came no further.
    ...children.map((child) => child.metadata.annotations?.[scheduledAtAnnotation]),
  ];
  const settledMs = Math.max(...settled.map((time) => Date.parse(time ?? "")).filter((ms) => !Number.isNaN(ms)));
  return latestMs !== undefined && latestMs > settledMs ? latestMs : undefined;
}

function beyondHistory({ spec }: GlobalSnapshotSchedule, children: readonly GlobalSnapshot[]): GlobalSnapshot[] {
  const ended = children
    .filter((child) => hasEnded(child.status?.phase) && child.metadata.deletionTimestamp === undefined)
    .sort((a, b) => timeOf(b).localeCompare(timeOf(a)));
  const successful = ended.filter(({ status }) => status?.phase === "Completed");
  const failed = ended.filter(({ status }) => status?.phase !== "Completed");
  return [...successful.slice(spec.successfulHistoryLimit), ...failed.slice(spec.failedHistoryLimit)].slice(
    0,
    removalsMax,
  );
}

/** For which time of the schedule it was made. Creation times are in whole seconds, and two can be alike. */
function timeOf({ metadata }: GlobalSnapshot): string {
  return metadata.annotations?.[scheduledAtAnnotation] ?? metadata.creationTimestamp;
}

function isActive({ status, metadata }: GlobalSnapshot): boolean {
  return !hasEnded(status?.phase) && metadata.deletionTimestamp === undefined;
}

interface Changes {
  readonly valid: ConditionFacts;
  readonly nextMs?: number | undefined;
  readonly scheduledMs?: number;
  readonly missedMs?: number;
}

function statusOf(
  { metadata, status }: GlobalSnapshotSchedule,
  children: readonly GlobalSnapshot[],
  { nowMs, term }: ScheduleContext,
  { valid, nextMs, scheduledMs, missedMs }: Changes,
): ScheduleStatus {
  const active = children.filter(isActive).map((child) => child.metadata.name);
  const successes = children.flatMap((child) =>
    child.status?.phase === "Completed" ? (child.status.endedAt ?? []) : [],
  );
  const lastScheduledAt = scheduledMs === undefined ? status?.lastScheduledAt : kubeTime(scheduledMs);
  const lastMissedAt = missedMs === undefined ? status?.lastMissedAt : kubeTime(missedMs);
  const lastSuccessfulAt = [status?.lastSuccessfulAt ?? "", ...successes].sort().at(-1);
  return {
    observedGeneration: metadata.generation,
    active: active.sort().slice(0, activeMax),
    activeCount: active.length,
    ...(lastScheduledAt !== undefined && { lastScheduledAt }),
    ...(lastSuccessfulAt !== undefined && lastSuccessfulAt !== "" && { lastSuccessfulAt }),
    ...(lastMissedAt !== undefined && { lastMissedAt }),
    ...(nextMs !== undefined && { nextScheduledAt: kubeTime(nextMs) }),
    term,
    conditions: mergeConditions(status?.conditions ?? [], [valid], metadata.generation, nowMs),
  };
}

function isKnownInvalid({ status }: GlobalSnapshotSchedule, message: string): boolean {
  return status?.conditions?.some((each) => each.type === "Valid" && each.message === message) ?? false;
}
