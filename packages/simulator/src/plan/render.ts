import type { Plan } from "./plan.ts";

/** A plan as text, a line a fact. */
export function renderPlan({ seed, settings, processes, lanes, coordinators, actions, calmAtMs }: Plan): string {
  return [
    `seed ${seed}`,
    `settings ${JSON.stringify(settings)}`,
    ...coordinators.map(({ name, aheadMs }) => `coordinator ${name}, ${aheadMs} ms ahead`),
    ...processes.map(({ id, bornAtMs, tokens }) => `process ${id} from ${bornAtMs} ms with ${tokens} tokens`),
    ...lanes.map(({ id, from, to, openAtMs }) => `lane ${id}: ${from} dials ${to} at ${openAtMs} ms`),
    ...actions.map(({ atMs, type, ...rest }) => `${String(atMs).padStart(6)} ms  ${type} ${JSON.stringify(rest)}`),
    `${String(calmAtMs).padStart(6)} ms  calm`,
  ].join("\n");
}
