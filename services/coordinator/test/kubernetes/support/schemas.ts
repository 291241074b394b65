import { evaluate } from "@marcbachmann/cel-js";
import type { Definition } from "../../../src/kubernetes/resources/definitions.ts";

export interface StructuralSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly items?: StructuralSchema;
  readonly additionalProperties?: StructuralSchema;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly "x-kubernetes-validations"?: readonly { readonly rule: string; readonly message: string }[];
}

export function schemaOf({ spec }: Definition): StructuralSchema {
  const [version] = spec.versions as readonly { readonly schema: { readonly openAPIV3Schema: StructuralSchema } }[];
  if (version === undefined) throw new Error("the definition has no version");
  return version.schema.openAPIV3Schema;
}

export function walk(
  schema: StructuralSchema,
  visit: (path: string, field: StructuralSchema) => void,
  path = "",
): void {
  visit(path, schema);
  for (const [name, field] of Object.entries(schema.properties ?? {})) walk(field, visit, `${path}.${name}`);
  if (schema.items !== undefined) walk(schema.items, visit, `${path}[]`);
  if (schema.additionalProperties !== undefined) walk(schema.additionalProperties, visit, `${path}{}`);
}

/** As the API server does it: a rule that names `oldSelf` is checked only where there is an old value. */
export function ruleFailures(schema: StructuralSchema, self: unknown, oldSelf?: unknown, path = ""): string[] {
  if (self === undefined) return [];
  const failures = (schema["x-kubernetes-validations"] ?? [])
    .filter(({ rule }) => !rule.includes("oldSelf") || oldSelf !== undefined)
    .filter(({ rule }) => evaluate(rule, { self, oldSelf }) !== true)
    .map(({ message }) => `${path}: ${message}`);
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, field]) =>
    ruleFailures(field, member(self, name), member(oldSelf, name), `${path}.${name}`),
  );
  return [...failures, ...below];
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
