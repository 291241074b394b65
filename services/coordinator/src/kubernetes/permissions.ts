import { group, schedulesPlural, snapshotsPlural } from "./resources/names.ts";

/** A rule of a Role or ClusterRole. */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  /** Only the objects of these names. */
  readonly resourceNames?: readonly string[];
}

/** A rule about paths that are no resources of the API. */
interface PathRule {
  readonly nonResourceURLs: readonly string[];
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

/** What discovery reads in each namespace that it watches (or in all: then as a ClusterRole). */
export const discoveryRules: readonly PolicyRule[] = [
  { apiGroups: [""], resources: ["services"], verbs: ["list", "watch"] },
  { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
];

/** With CUTLINE_IDENTITY or CUTLINE_WEBHOOK, in the coordinator's own namespace. The Secrets are the chart's. */
export const identityRules: readonly PolicyRule[] = [
  {
    apiGroups: [""],
    resources: ["secrets"],
    resourceNames: ["cutline-authority", "cutline-webhook"],
    verbs: ["get", "update"],
  },
];

/** With CUTLINE_IDENTITY or CUTLINE_ACCESS=kubernetes, as a ClusterRole. */
export const reviewRules: readonly PolicyRule[] = [
  { apiGroups: ["authentication.k8s.io"], resources: ["tokenreviews"], verbs: ["create"] },
  { apiGroups: ["authorization.k8s.io"], resources: ["subjectaccessreviews"], verbs: ["create"] },
];

/** With CUTLINE_WEBHOOK, as a ClusterRole; the chart sets the name of its own configuration. */
export const webhookConfigurationRules: readonly PolicyRule[] = [
  {
    apiGroups: ["admissionregistration.k8s.io"],
    resources: ["mutatingwebhookconfigurations"],
    resourceNames: ["cutline"],
    verbs: ["get", "patch"],
  },
];

/** What callers of the REST API need (CUTLINE_ACCESS=kubernetes): as ClusterRoles, each with what stands before it. */
export const callerRules: Readonly<Record<"view" | "operate" | "admin", readonly (PolicyRule | PathRule)[]>> = {
  view: [
    { apiGroups: [group], resources: [snapshotsPlural], verbs: ["get", "list"] },
    { nonResourceURLs: ["/metrics"], verbs: ["get"] },
  ],
  operate: [
    { apiGroups: [group], resources: [snapshotsPlural], verbs: ["create", "update"] },
    { apiGroups: [group], resources: [`${snapshotsPlural}/state`], verbs: ["get"] },
  ],
  admin: [{ apiGroups: [group], resources: [snapshotsPlural], verbs: ["delete"] }],
};
