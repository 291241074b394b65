import { type Static, Type } from "@sinclair/typebox";
import { list, object, rules, textMap, words } from "./structural.ts";

const labelKey = "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
const labelValue = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";
const namespaceName = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$";
const processId = "^[A-Za-z0-9][-A-Za-z0-9._]{0,252}/[A-Za-z0-9][-A-Za-z0-9._]{0,252}$";

const namespacesMax = 64;
/** One less than a snapshot takes: the controller adds one of its own. */
const labelsMax = 31;

const labelRules = rules(
  {
    rule: `self.all(key, key.matches('${labelKey}'))`,
    message: "each key must be a label key, such as app or example.com/team",
  },
  {
    rule: `self.all(key, self[key].matches('${labelValue}'))`,
    message: "each value must be a label value: at most 63 letters, digits, '-', '_' or '.'",
  },
  {
    rule: "self.all(key, key != 'constructor' && key != 'prototype')",
    message: "constructor and prototype are not taken as keys",
  },
);

const labels = (description: string) =>
  textMap({ description, maxProperties: labelsMax, valueCharsMax: 63, ...labelRules });

/** What is asked for: the same for a snapshot and for a schedule's template. */
export const snapshotSpec = object(
  {
    scope: Type.Optional(
      object(
        {
          namespaces: Type.Optional(
            list(Type.String({ pattern: namespaceName, maxLength: 63 }), {
              description: "Processes of these namespaces. Absent or empty: of all.",
              maxItems: namespacesMax,
              "x-kubernetes-list-type": "set",
            }),
          ),
          labelSelector: Type.Optional(
            object(
              { matchLabels: Type.Optional(labels("Labels that a process must have, all of them.")) },
              { description: "Processes with these labels. Absent or empty: all." },
            ),
          ),
        },
        { description: "Limits what is stored, not what is cut. Absent: everything is stored." },
      ),
    ),
    initiator: Type.Optional(
      Type.String({
        description:
          "The one process (NAMESPACE/POD) that is asked to cut first; markers reach the others. Absent: all are asked at once.",
        pattern: processId,
        maxLength: 507,
      }),
    ),
    timeoutSeconds: Type.Integer({
      description: "How long the snapshot may take, all attempts together.",
      minimum: 1,
      maximum: 3_600,
      default: 30,
    }),
    attempts: Type.Integer({
      description: "How many attempts it has in all.",
      minimum: 1,
      maximum: 10,
      default: 3,
    }),
    startingDeadlineSeconds: Type.Integer({
      description:
        "How long the start is tried while the coordinator refuses it (too many snapshots run, no process is attached). After that the snapshot has Failed.",
      minimum: 1,
      maximum: 86_400,
      default: 300,
    }),
    labels: Type.Optional(labels("Labels of the snapshot at the coordinator.")),
    abort: Type.Boolean({
      description: "Set it to true to end the snapshot while it runs. It cannot be taken back.",
      default: false,
      ...rules({ rule: "!oldSelf || self", message: "an abort cannot be taken back" }),
    }),
    deletionPolicy: words(["Delete", "Keep"], {
      description: "What becomes of the data at the coordinator when this object is deleted.",
      default: "Delete",
    }),
    ttlSecondsAfterFinished: Type.Optional(
      Type.Integer({
        description:
          "The data is deleted so long after the end. Absent: the coordinator's own retention decides alone. 0: at once.",
        minimum: 0,
        maximum: 315_360_000,
      }),
    ),
    expiryPolicy: words(["Mark", "Delete"], {
      description:
        "What becomes of this object when its data has expired: Mark sets the condition DataAvailable to False, Delete removes the object.",
      default: "Mark",
    }),
  },
  { description: "What is asked for.", default: {} },
);

export type SnapshotSpec = Static<typeof snapshotSpec>;

/** Fields that describe what is recorded: fixed once the snapshot has begun. */
export const fixedFields = [
  "scope",
  "initiator",
  "timeoutSeconds",
  "attempts",
  "labels",
] as const satisfies readonly (keyof SnapshotSpec)[];
