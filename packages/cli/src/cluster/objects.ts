import { arrayOf, asRecord, numberOf, stringOf, textOf } from "../json.ts";

const group = "cutline.dev";
const version = "v1alpha1";
export const snapshotKind = "GlobalSnapshot";
export const apiVersion = `${group}/${version}`;
/** As kubectl names the kind. */
export const snapshotResource = `globalsnapshot.${group}`;

/** `undefined` as the namespace: all of them. */
export function snapshotsPath(namespace: string | undefined, name?: string): string {
  const inNamespace = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  const one = name === undefined ? "" : `/${encodeURIComponent(name)}`;
  return `/apis/${group}/${version}${inNamespace}/globalsnapshots${one}`;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly since: string;
}

/** A GlobalSnapshot, as far as it is shown. */
export interface SnapshotObject {
  readonly name: string;
  readonly namespace: string;
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly isDeleting: boolean;
  readonly spec: {
    readonly timeoutSeconds: number;
    readonly startingDeadlineSeconds: number;
    readonly attempts: number;
    readonly initiator: string;
    readonly namespaces: readonly string[];
    readonly matchLabels: Readonly<Record<string, string>>;
    readonly deletionPolicy: string;
    readonly abort: boolean;
  };
  /** Empty: no controller has looked at it. */
  readonly phase: string;
  readonly status: {
    readonly reason: string;
    readonly message: string;
    readonly snapshotId: string;
    readonly attempt: number;
    readonly processes: string;
    readonly channels: string;
    readonly inFlightMessages: number;
    readonly storedBytes: number;
    readonly exact: boolean | undefined;
    readonly partial: boolean;
    readonly startedAt: string;
    readonly endedAt: string;
    readonly problems: readonly { readonly pod: string; readonly code: string; readonly message: string }[];
    readonly conditions: readonly Condition[];
  };
}

export function readSnapshotObject(raw: unknown): SnapshotObject {
  const object = asRecord(raw);
  const metadata = asRecord(object?.metadata);
  const spec = asRecord(object?.spec);
  const scope = asRecord(spec?.scope);
  const status = asRecord(object?.status);
  return {
    name: stringOf(metadata?.name),
    namespace: stringOf(metadata?.namespace),
    createdAt: stringOf(metadata?.creationTimestamp),
    labels: textsOf(metadata?.labels),
    annotations: textsOf(metadata?.annotations),
    isDeleting: textOf(metadata?.deletionTimestamp) !== undefined,
    spec: {
      timeoutSeconds: countOf(spec?.timeoutSeconds),
      startingDeadlineSeconds: countOf(spec?.startingDeadlineSeconds),
      attempts: countOf(spec?.attempts),
      initiator: stringOf(spec?.initiator),
      namespaces: arrayOf(scope?.namespaces).map(stringOf),
      matchLabels: textsOf(asRecord(scope?.labelSelector)?.matchLabels),
      deletionPolicy: stringOf(spec?.deletionPolicy),
      abort: spec?.abort === true,
    },
    phase: stringOf(status?.phase),
    status: {
      reason: stringOf(status?.reason),
      message: stringOf(status?.message),
      snapshotId: stringOf(status?.snapshotId),
      attempt: countOf(status?.attempt),
      processes: stringOf(status?.processes),
      channels: stringOf(status?.channels),
      inFlightMessages: countOf(status?.inFlightMessages),
      storedBytes: countOf(status?.storedBytes),
      exact: typeof status?.exact === "boolean" ? status.exact : undefined,
      partial: status?.partial === true,
      startedAt: stringOf(status?.startedAt),
      endedAt: stringOf(status?.endedAt),
      problems: arrayOf(status?.problems).map((one) => {
        const problem = asRecord(one);
        return { pod: stringOf(problem?.pod), code: stringOf(problem?.code), message: stringOf(problem?.message) };
      }),
      conditions: arrayOf(status?.conditions).map((one) => {
        const condition = asRecord(one);
        return {
          type: stringOf(condition?.type),
          status: stringOf(condition?.status),
          reason: stringOf(condition?.reason),
          message: stringOf(condition?.message),
          since: stringOf(condition?.lastTransitionTime),
        };
      }),
    },
  };
}

function countOf(value: unknown): number {
  const count = numberOf(value);
  return Number.isFinite(count) ? count : 0;
}

/** The entries that are text. */
export function textsOf(value: unknown): Record<string, string> {
  const entries = Object.entries(asRecord(value) ?? {});
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}
