import { Type } from "@sinclair/typebox";
import { phases } from "./schemas.ts";

/** Snapshot ids; what does not look like one is not there. */
export const idPattern = "^[0-9A-Za-z_-]{1,64}$";
/** Kubernetes label keys and values. */
const labelKey = "(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";
const labelValue = "(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?";
/** Two keys have a meaning of their own in JavaScript and are refused. */
const labelKeyPattern = `^(?!(?:constructor|prototype)$)${labelKey}$`;
const labelValuePattern = `^${labelValue}$`;
const labelFilterPattern = `^(?!(?:constructor|prototype)=)${labelKey}=${labelValue}$`;
const namespacePattern = "^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$";
const processIdPattern = "^[A-Za-z0-9][-A-Za-z0-9._]{0,252}/[A-Za-z0-9][-A-Za-z0-9._]{0,252}$";

const labelsMax = 32;
const namespacesMax = 64;
const filtersMax = 16;
const cursorCharsMax = 1_024;

const labelRecord = Type.Unsafe<Record<string, string>>({
  type: "object",
  maxProperties: labelsMax,
  propertyNames: { pattern: labelKeyPattern },
  additionalProperties: { type: "string", pattern: labelValuePattern },
});

const closed = { additionalProperties: false };

export const startBody = Type.Object(
  {
    scope: Type.Optional(
      Type.Object(
        {
          namespaces: Type.Optional(
            Type.Array(Type.String({ pattern: namespacePattern }), { maxItems: namespacesMax, uniqueItems: true }),
          ),
          labelSelector: Type.Optional(labelRecord),
        },
        { ...closed, description: "Limits what is stored, not what is cut. Absent: everything." },
      ),
    ),
    initiator: Type.Optional(
      Type.String({ pattern: processIdPattern, description: "The one process that is asked to cut first." }),
    ),
    timeoutMs: Type.Optional(Type.Integer({ minimum: 1_000, maximum: 3_600_000, default: 30_000 })),
    labels: Type.Optional(labelRecord),
    attempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 10, default: 3 })),
  },
  closed,
);

export const startHeaders = Type.Object({
  "idempotency-key": Type.Optional(
    Type.String({ pattern: "^[!-~]{1,128}$", description: "Asking again with the same key finds the first snapshot." }),
  ),
});

export const listQuery = Type.Object(
  {
    label: Type.Optional(
      Type.Array(Type.String({ pattern: labelFilterPattern }), {
        maxItems: filtersMax,
        description: "key=value; repeat it for more. All must hold.",
      }),
    ),
    phase: Type.Optional(
      Type.Array(Type.Union(phases.map((phase) => Type.Literal(phase))), {
        maxItems: filtersMax,
        description: "Repeat it for more. One must hold.",
      }),
    ),
    since: Type.Optional(Type.String({ format: "date-time", description: "Created then or later." })),
    before: Type.Optional(Type.String({ format: "date-time", description: "Created earlier." })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 50 })),
    cursor: Type.Optional(Type.String({ minLength: 1, maxLength: cursorCharsMax })),
  },
  closed,
);

export const snapshotParams = Type.Object({ id: Type.String({ pattern: idPattern }) });
/** The id with its custom method: Fastify cannot route a colon behind a parameter. */
export const targetParams = Type.Object({ target: Type.String() });
export const processParams = Type.Object({
  id: Type.String({ pattern: idPattern }),
  pid: Type.String({ description: "namespace/name, with the slash as %2F" }),
});
export const channelParams = Type.Object({ id: Type.String({ pattern: idPattern }), cid: Type.String() });
