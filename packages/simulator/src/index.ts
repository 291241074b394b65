export { Store as SimulatedStore, type StorePartKey } from "./control/store.ts";
export { Engine } from "./engine/engine.ts";
export { Random } from "./engine/random.ts";
export { generate } from "./plan/generate.ts";
export type { Plan } from "./plan/plan.ts";
export { type RunResult, run } from "./run.ts";
