import assert from "node:assert/strict";
import { inject } from "../../src/inject.ts";
import type { Json, JsonObject } from "../../src/json.ts";
import type { Refusal } from "../../src/outcome.ts";
import type { Container } from "../../src/pod.ts";
import type { InjectionPolicy } from "../../src/policy.ts";
import { applyPatch } from "./apply-patch.ts";
import { policy } from "./pods.ts";

export interface Injected {
  readonly pod: JsonObject;
  readonly containers: readonly Container[];
  readonly initContainers: readonly Container[];
  readonly volumes: readonly JsonObject[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  readonly revision: string;
  /** The agent's variables that have a value of their own. */
  readonly agentEnv: Readonly<Record<string, string>>;
}

export function injectedOf(pod: Json, changes: Partial<InjectionPolicy> = {}): Injected {
  const outcome = inject({ pod, namespace: "bank", policy: { ...policy, ...changes } });
  if (outcome.outcome !== "patch") assert.fail(`${outcome.outcome}: ${outcome.message}`);
  const result = applyPatch(pod, outcome.operations) as JsonObject;
  const spec = result.spec as JsonObject;
  const containers = spec.containers as unknown as Container[];
  const initContainers = (spec.initContainers ?? []) as unknown as Container[];
  const agent = [...containers, ...initContainers].find(({ name }) => name === "cutline-agent");
  return {
    pod: result,
    containers,
    initContainers,
    volumes: (spec.volumes ?? []) as unknown as JsonObject[],
    annotations: (result.metadata as JsonObject).annotations as Record<string, string>,
    warnings: outcome.warnings,
    revision: outcome.revision,
    agentEnv: envOf(agent),
  };
}

export function envOf(container: Container | undefined): Record<string, string> {
  const env = (container?.env ?? []) as unknown as readonly { name: string; value?: string }[];
  return Object.fromEntries(env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])));
}

export function refusalOf(pod: Json, changes: Partial<InjectionPolicy> = {}): Refusal {
  const outcome = inject({ pod, namespace: "bank", policy: { ...policy, ...changes } });
  if (outcome.outcome !== "refused") assert.fail(`not refused: ${JSON.stringify(outcome)}`);
  return outcome;
}
