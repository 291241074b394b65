import { group, schedulesPlural, snapshotsPlural } from "./resources/names.ts";

/** A rule of a Role or ClusterRole. */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** What the controller does in each namespace that it watches (or in all: then as a ClusterRole). */
export const watchedRules: readonly PolicyRule[] = [
  { apiGroups: [group], resources: [snapshotsPlural], verbs: ["get", "list", "watch", "create", "patch", "delete"] },
  { apiGroups: [group], resources: [schedulesPlural], verbs: ["get", "list", "watch"] },
  { apiGroups: [group], resources: [`${snapshotsPlural}/status`, `${schedulesPlural}/status`], verbs: ["update"] },
  { apiGroups: [""], resources: ["events"], verbs: ["create"] },
];

/** What it does in the namespace of its Lease. */
export const leaseRules: readonly PolicyRule[] = [
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update"] },
];
