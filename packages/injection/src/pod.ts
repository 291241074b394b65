import { isObject, type Json, type JsonObject } from "./json.ts";
import { Refused } from "./outcome.ts";

/** The parts of a container that injection reads; the rest passes through. */
export interface Container extends JsonObject {
  readonly name: string;
}

/** A pod, or the template of one. */
export interface Pod {
  readonly metadata: JsonObject;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: JsonObject;
  readonly containers: readonly Container[];
  readonly initContainers: readonly Container[];
  readonly volumes: readonly JsonObject[];
}

/** Throws {@link Refused} where it is no pod. */
export function readPod(value: Json): Pod {
  if (!isObject(value)) throw invalid("the pod", "an object");
  const metadata = objectAt(value.metadata, "metadata");
  const spec = objectAt(value.spec, "spec");
  const containers = containersAt(spec.containers, "spec.containers");
  if (containers.length === 0) throw invalid("spec.containers", "a list with at least one container");
  return {
    metadata,
    labels: textsAt(metadata.labels, "metadata.labels"),
    annotations: textsAt(metadata.annotations, "metadata.annotations"),
    spec,
    containers,
    initContainers: containersAt(spec.initContainers, "spec.initContainers"),
    volumes: objectsAt(spec.volumes, "spec.volumes"),
  };
}

export function objectAt(value: Json | undefined, what: string): JsonObject {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw invalid(what, "an object");
  return value;
}

export function objectsAt(value: Json | undefined, what: string): readonly JsonObject[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(what, "a list");
  return value.map((item, index) => {
    if (!isObject(item)) throw invalid(`${what}[${index}]`, "an object");
    return item;
  });
}

function containersAt(value: Json | undefined, what: string): readonly Container[] {
  return objectsAt(value, what).map((item, index) => {
    if (typeof item.name !== "string" || item.name === "") throw invalid(`${what}[${index}].name`, "a name");
    return item as Container;
  });
}

function textsAt(value: Json | undefined, what: string): Readonly<Record<string, string>> {
  for (const [key, text] of Object.entries(objectAt(value, what))) {
    if (typeof text !== "string") throw invalid(`${what}["${key}"]`, "text (put it into quotes)");
  }
  return objectAt(value, what) as Readonly<Record<string, string>>;
}

function invalid(what: string, wanted: string): Refused {
  return new Refused("PodInvalid", `${what} must be ${wanted}`);
}
