import { isObject, type Json } from "./json.ts";
import type { Container } from "./pod.ts";
import { type TrafficMode, trafficModes } from "./policy.ts";

/** The annotation `cutline.dev/injected`: what has been done to a pod, so that it can be known again and undone. */
export interface InjectedStatus {
  /** Of Cutline. */
  readonly version: string;
  readonly traffic: TrafficMode;
  /** The application's container. */
  readonly container: string;
  /** The application's port. */
  readonly port: number;
  /** A hash of everything that was put in for the agent; the same input gives the same one. */
  readonly revision: string;
  /** By container, the variables that were added to it. */
  readonly variables: Readonly<Record<string, readonly string[]>>;
}

/** The variables that were added to a container. Its name is anybody's choice: `constructor` is one. */
export function addedTo({ name }: Container, { variables }: InjectedStatus): readonly string[] {
  return Object.hasOwn(variables, name) ? (variables[name] ?? []) : [];
}

/** `undefined`: there is none, or it is not written by injection. */
export function readStatus(text: string | undefined): InjectedStatus | undefined {
  if (text === undefined) return undefined;
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch {
    // Whoever wrote it, it was not injection.
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const { version, traffic, container, port, revision, variables } = value;
  const isStatus =
    typeof version === "string" &&
    (trafficModes as readonly unknown[]).includes(traffic) &&
    typeof container === "string" &&
    typeof port === "number" &&
    typeof revision === "string" &&
    isObject(variables) &&
    Object.values(variables).every((names) => Array.isArray(names) && names.every((name) => typeof name === "string"));
  return isStatus ? (value as unknown as InjectedStatus) : undefined;
}
