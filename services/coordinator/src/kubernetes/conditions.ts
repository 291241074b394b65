import type { Condition } from "./resources/status.ts";

export type ConditionFacts = Pick<Condition, "type" | "status" | "reason" | "message">;

/** The new conditions: the time of change stays where the status stays, and so do conditions that are not named. */
export function mergeConditions(
  before: readonly Condition[],
  facts: readonly ConditionFacts[],
  generation: number,
  nowMs: number,
): Condition[] {
  const named = new Set(facts.map(({ type }) => type));
  const kept = before.filter(({ type }) => !named.has(type));
  const told = facts.map((fact): Condition => {
    const earlier = before.find(({ type }) => type === fact.type);
    const lastTransitionTime = earlier?.status === fact.status ? earlier.lastTransitionTime : kubeTime(nowMs);
    return { ...fact, observedGeneration: generation, lastTransitionTime };
  });
  return [...told, ...kept];
}

/** RFC 3339 in whole seconds, as the API writes times. */
export function kubeTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, "Z");
}
