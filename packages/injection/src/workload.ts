import { isObject, type Json } from "./json.ts";

/** Where the pod of a workload stands: keys from the document down to `{metadata, spec}`. */
export type PodPath = readonly string[];

const templates: Readonly<Record<string, { readonly groups: readonly string[]; readonly path: PodPath }>> = {
  Pod: { groups: [""], path: [] },
  PodTemplate: { groups: [""], path: ["template"] },
  ReplicationController: { groups: [""], path: ["spec", "template"] },
  Deployment: { groups: ["apps"], path: ["spec", "template"] },
  ReplicaSet: { groups: ["apps"], path: ["spec", "template"] },
  StatefulSet: { groups: ["apps"], path: ["spec", "template"] },
  DaemonSet: { groups: ["apps"], path: ["spec", "template"] },
  Job: { groups: ["batch"], path: ["spec", "template"] },
  CronJob: { groups: ["batch"], path: ["spec", "jobTemplate", "spec", "template"] },
};

/** `undefined`: the document is of a kind without pods. */
export function podPathOf(document: Json): PodPath | undefined {
  if (!isObject(document)) return undefined;
  const { apiVersion, kind } = document;
  if (typeof apiVersion !== "string" || typeof kind !== "string" || !Object.hasOwn(templates, kind)) return undefined;
  const group = apiVersion.includes("/") ? (apiVersion.split("/", 1)[0] ?? "") : "";
  const template = templates[kind];
  return template?.groups.includes(group) ? template.path : undefined;
}
