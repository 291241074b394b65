import type { ScheduleSpec } from "./schedule-spec.ts";
import type { SnapshotSpec } from "./snapshot-spec.ts";
import type { ScheduleStatus, SnapshotStatus } from "./status.ts";

/** The metadata that the controller reads. */
interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

/** Any object of the API. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

export interface GlobalSnapshot extends KubeObject {
  readonly spec: SnapshotSpec;
  readonly status?: SnapshotStatus;
}

export interface GlobalSnapshotSchedule extends KubeObject {
  readonly spec: ScheduleSpec;
  readonly status?: ScheduleStatus;
}

/** `namespace/name`. */
export function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}
