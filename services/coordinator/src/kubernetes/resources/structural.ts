import { type TProperties, type TSchema, Type } from "@sinclair/typebox";

/**
 * Pieces of structural schemas: TypeBox where its JSON Schema is structural already, and `Type.Unsafe` where it is not
 * (unions of words, maps), so that one text gives the CRD and the TypeScript type.
 */

export interface ValidationRule {
  /** CEL, with `self`, and `oldSelf` for rules about a change. */
  readonly rule: string;
  readonly message: string;
}

interface Described {
  readonly description: string;
}

export function rules(...validations: ValidationRule[]): { "x-kubernetes-validations": ValidationRule[] } {
  return { "x-kubernetes-validations": validations };
}

export function words<const Word extends string>(
  all: readonly Word[],
  options: Described & { readonly default?: Word },
) {
  return Type.Unsafe<Word>({ type: "string", enum: [...all], ...options });
}

export function textMap(options: Described & { readonly maxProperties: number; readonly valueCharsMax: number }) {
  const { valueCharsMax, ...rest } = options;
  return Type.Unsafe<Record<string, string>>({
    type: "object",
    additionalProperties: { type: "string", maxLength: valueCharsMax },
    ...rest,
  });
}

export function object<Properties extends TProperties>(
  properties: Properties,
  options: Described & { readonly [keyword: string]: unknown },
) {
  return Type.Object(properties, options);
}

export function list<Item extends TSchema>(
  item: Item,
  options: Described & { readonly maxItems: number; readonly [keyword: string]: unknown },
) {
  return Type.Array(item, { "x-kubernetes-list-type": "atomic", ...options });
}

/** RFC 3339. */
export function time(description: string) {
  return Type.String({ format: "date-time", description });
}
