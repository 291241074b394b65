import { type TSchema, Type } from "@sinclair/typebox";
import {
  group,
  scheduleKind,
  scheduleNameCharsMax,
  schedulesPlural,
  snapshotKind,
  snapshotsPlural,
  version,
} from "./names.ts";
import { scheduleSpec } from "./schedule-spec.ts";
import { fixedFields, snapshotSpec } from "./snapshot-spec.ts";
import { scheduleStatus, snapshotStatus } from "./status.ts";
import { object, rules, type ValidationRule } from "./structural.ts";

interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "boolean" | "date";
  readonly jsonPath: string;
  readonly description?: string;
  /** Columns above 0 are shown by `-o wide` alone. */
  readonly priority?: number;
}

/** A CustomResourceDefinition as it is written to a file. */
export interface Definition {
  readonly apiVersion: "apiextensions.k8s.io/v1";
  readonly kind: "CustomResourceDefinition";
  readonly metadata: { readonly name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

const begun = "!has(oldSelf.status) || !has(oldSelf.status.snapshotId)";

/** Optional fields are compared only where both have them. */
function fixed(field: string): ValidationRule {
  const both = `has(self.spec.${field}) == has(oldSelf.spec.${field})`;
  return {
    rule: `${begun} || (${both} && (!has(self.spec.${field}) || self.spec.${field} == oldSelf.spec.${field}))`,
    message: `spec.${field} is fixed once the snapshot has begun; make a new GlobalSnapshot`,
  };
}

const age: Column = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

const snapshotColumns: readonly Column[] = [
  { name: "Phase", type: "string", jsonPath: ".status.phase" },
  { name: "Processes", type: "string", jsonPath: ".status.processes", description: "Cut, of all." },
  { name: "Channels", type: "string", jsonPath: ".status.channels", description: "Closed, of all." },
  { name: "InFlight", type: "integer", jsonPath: ".status.inFlightMessages", description: "Messages in flight." },
  { name: "Exact", type: "boolean", jsonPath: ".status.exact" },
  age,
  { name: "Reason", type: "string", jsonPath: ".status.reason", priority: 1 },
  { name: "Attempt", type: "integer", jsonPath: ".status.attempt", priority: 1 },
  { name: "Data", type: "string", jsonPath: '.status.conditions[?(@.type=="DataAvailable")].status', priority: 1 },
  { name: "Id", type: "string", jsonPath: ".status.snapshotId", priority: 1 },
];

const scheduleColumns: readonly Column[] = [
  { name: "Schedule", type: "string", jsonPath: ".spec.schedule" },
  { name: "TimeZone", type: "string", jsonPath: ".spec.timeZone" },
  { name: "Suspend", type: "boolean", jsonPath: ".spec.suspend" },
  { name: "Active", type: "integer", jsonPath: ".status.activeCount" },
  { name: "Last", type: "date", jsonPath: ".status.lastScheduledAt" },
  { name: "Next", type: "string", jsonPath: ".status.nextScheduledAt" },
  age,
  { name: "Valid", type: "string", jsonPath: '.status.conditions[?(@.type=="Valid")].status', priority: 1 },
  { name: "LastSuccess", type: "date", jsonPath: ".status.lastSuccessfulAt", priority: 1 },
];

export const snapshotDefinition = define({
  kind: snapshotKind,
  plural: snapshotsPlural,
  shortNames: ["gsnap"],
  columns: snapshotColumns,
  schema: object(
    { spec: snapshotSpec, status: Type.Optional(snapshotStatus) },
    {
      description: "One consistent picture of the running processes: their local states and the messages in flight.",
      ...rules(...fixedFields.map(fixed)),
    },
  ),
});

export const scheduleDefinition = define({
  kind: scheduleKind,
  plural: schedulesPlural,
  shortNames: ["gsnapsched"],
  columns: scheduleColumns,
  schema: object(
    { spec: scheduleSpec, status: Type.Optional(scheduleStatus) },
    {
      description: "Makes a GlobalSnapshot whenever its time comes.",
      ...rules({
        rule: `size(self.metadata.name) <= ${scheduleNameCharsMax}`,
        message: `metadata.name must have at most ${scheduleNameCharsMax} characters: the names of its snapshots add the time`,
      }),
    },
  ),
});

interface DefinitionOptions {
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly columns: readonly Column[];
  readonly schema: TSchema;
}

function define({ kind, plural, shortNames, columns, schema }: DefinitionOptions): Definition {
  const singular = kind.toLowerCase();
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories: ["cutline"] },
      scope: "Namespaced",
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: published(schema) },
        },
      ],
    },
  };
}

/**
 * The schema as clients see it. A property with a default need not be given, so it is not called required here: the API
 * server fills it in before it checks, but kubectl checks before that.
 */
function published(schema: TSchema): unknown {
  return JSON.parse(JSON.stringify(schema), (_key, value: unknown) => {
    if (!isObjectSchema(value)) return value;
    const { required, ...rest } = value;
    const wanted = required.filter((name) => value.properties[name]?.default === undefined);
    return wanted.length === 0 ? rest : { ...rest, required: wanted };
  });
}

interface ObjectSchema {
  readonly required: readonly string[];
  readonly properties: Readonly<Record<string, { readonly default?: unknown } | undefined>>;
}

function isObjectSchema(value: unknown): value is ObjectSchema {
  return typeof value === "object" && value !== null && "properties" in value && "required" in value;
}
