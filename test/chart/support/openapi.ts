import * as client from "@kubernetes/client-node";
import type { Manifest } from "./helm.ts";

/*
 * Two libraries are generated from the Kubernetes OpenAPI, and each knows one half: kubernetes-models checks types,
 * enumerations and what is required, and takes fields that nobody knows; the client's classes know every field.
 */

type ModelClass = new (data: unknown) => { validate(): void };
type Models = Readonly<Record<string, ModelClass | undefined>>;

/** Of custom resources; their classes check what the definitions say, and nothing knows strangers among their fields. */
const operators: Readonly<Record<string, () => Promise<unknown>>> = {
  "monitoring.coreos.com/v1": () => import("@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1"),
  "cert-manager.io/v1": () => import("@kubernetes-models/cert-manager/cert-manager.io/v1"),
};

/** What is wrong with the object, by the OpenAPI; empty: nothing. */
export async function problemsOf(manifest: Manifest): Promise<string[]> {
  const { apiVersion, kind } = manifest;
  const operator = operators[apiVersion];
  const models = (await (operator?.() ?? import(`kubernetes-models/${apiVersion}`))) as Models;
  const Model = models[kind];
  if (Model === undefined) return [`there is no ${kind} in ${apiVersion}`];
  const problems: string[] = [];
  try {
    new Model(manifest).validate();
  } catch (error) {
    problems.push(String(error));
  }
  if (operator === undefined) problems.push(...strangers(manifest, `V1${kind}`, kind));
  return problems;
}

interface Attribute {
  readonly baseName: string;
  readonly type: string;
}

function attributesOf(type: string): readonly Attribute[] | undefined {
  const known = (client as unknown as Readonly<Record<string, { attributeTypeMap?: readonly Attribute[] }>>)[type];
  return known?.attributeTypeMap;
}

/** Paths of fields that the type does not have. */
function strangers(value: unknown, type: string, path: string): string[] {
  if (Array.isArray(value)) {
    const of = /^Array<(.*)>$/.exec(type)?.[1];
    if (of === undefined) return [`${path} is a list, and not ${type}`];
    return value.flatMap((each, index) => strangers(each, of, `${path}[${index}]`));
  }
  if (value === null || typeof value !== "object") return [];
  const attributes = attributesOf(type);
  // A map, or a type of any content.
  if (attributes === undefined) {
    return /^(\{ \[key: string\]: |any$|object$)/.test(type) ? [] : [`${path} is an object, and not ${type}`];
  }
  return Object.entries(value).flatMap(([name, field]) => {
    const attribute = attributes.find(({ baseName }) => baseName === name);
    return attribute === undefined
      ? [`${path}.${name} is unknown`]
      : strangers(field, attribute.type, `${path}.${name}`);
  });
}
