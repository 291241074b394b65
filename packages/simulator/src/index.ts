export { generate } from "./plan/generate.ts";
export type { Plan } from "./plan/plan.ts";
export { type RunResult, run } from "./run.ts";
