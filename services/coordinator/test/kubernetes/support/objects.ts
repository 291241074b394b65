import { Snapshot } from "@cutline/proto/snapshot";
import { finalizer, scheduledAtAnnotation, scheduleKind } from "../../../src/kubernetes/resources/names.ts";
import type { GlobalSnapshot, GlobalSnapshotSchedule } from "../../../src/kubernetes/resources/objects.ts";
import type { ScheduleSpec } from "../../../src/kubernetes/resources/schedule-spec.ts";
import type { SnapshotSpec } from "../../../src/kubernetes/resources/snapshot-spec.ts";

export const createdAtMs = Date.parse("2026-11-23T12:00:00Z");

/** As the API server gives it: with defaults, and with the finalizer. */
export function globalSnapshot({
  spec,
  status,
  metadata,
}: {
  readonly spec?: Partial<SnapshotSpec>;
  readonly status?: GlobalSnapshot["status"];
  readonly metadata?: Partial<GlobalSnapshot["metadata"]>;
} = {}): GlobalSnapshot {
  return {
    metadata: {
      name: "before-upgrade",
      namespace: "shop",
      uid: "uid-1",
      resourceVersion: "7",
      generation: 1,
      creationTimestamp: "2026-11-23T12:00:00Z",
      finalizers: [finalizer],
      ...metadata,
    },
    spec: {
      timeoutSeconds: 30,
      attempts: 3,
      startingDeadlineSeconds: 300,
      abort: false,
      deletionPolicy: "Delete",
      expiryPolicy: "Mark",
      ...spec,
    },
    ...(status !== undefined && { status }),
  };
}

export function schedule({
  spec,
  status,
  metadata,
}: {
  readonly spec?: Partial<ScheduleSpec>;
  readonly status?: GlobalSnapshotSchedule["status"];
  readonly metadata?: Partial<GlobalSnapshotSchedule["metadata"]>;
} = {}): GlobalSnapshotSchedule {
  return {
    metadata: {
      name: "nightly",
      namespace: "shop",
      uid: "uid-s",
      resourceVersion: "3",
      generation: 1,
      creationTimestamp: "2026-11-23T12:00:00Z",
      ...metadata,
    },
    spec: {
      schedule: "*/10 * * * *",
      timeZone: "Etc/UTC",
      suspend: false,
      concurrencyPolicy: "Forbid",
      startingDeadlineSeconds: 60,
      successfulHistoryLimit: 10,
      failedHistoryLimit: 3,
      template: { spec: globalSnapshot().spec },
      ...spec,
    },
    ...(status !== undefined && { status }),
  };
}

/** A snapshot that the schedule above has made. */
export function child(name: string, scheduledAt: string, status?: GlobalSnapshot["status"]): GlobalSnapshot {
  return globalSnapshot({
    metadata: {
      name,
      uid: `uid-${name}`,
      creationTimestamp: scheduledAt,
      annotations: { [scheduledAtAnnotation]: scheduledAt },
      ownerReferences: [
        { apiVersion: "cutline.dev/v1alpha1", kind: scheduleKind, name: "nightly", uid: "uid-s", controller: true },
      ],
    },
    ...(status !== undefined && { status }),
  });
}

/** A snapshot at the coordinator. */
export function snapshot(fields: Parameters<typeof Snapshot.fromPartial>[0] = {}): Snapshot {
  return Snapshot.fromPartial({
    id: "snap1",
    phase: "Cutting",
    attempt: 1,
    attemptsMax: 3,
    createdAt: "2026-11-23T12:00:01.250Z",
    progress: { processesTotal: 3, processesCut: 2, channelsTotal: 6, channelsClosed: 1, inFlightMessages: 4 },
    ...fields,
  });
}

export const completed = {
  phase: "Completed",
  endedAt: "2026-11-23T12:00:03.900Z",
  exact: true,
  progress: { processesTotal: 3, processesCut: 3, channelsTotal: 6, channelsClosed: 6, inFlightMessages: 4 },
} as const;
