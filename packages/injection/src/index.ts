export { type InjectionRequest, inject, remove } from "./inject.ts";
export { isObject, type Json, type JsonObject } from "./json.ts";
export { keysOf, type PatchOperation } from "./json-patch.ts";
export { agentContainer, annotationPrefix, injectLabel, ports, redirectContainer, statusAnnotation } from "./names.ts";
export type { Outcome, Refusal, Skip } from "./outcome.ts";
export {
  clientStacks,
  defaultPolicy,
  type InjectionPolicy,
  knowsNativeSidecars,
  pullPolicies,
  trafficModes,
} from "./policy.ts";
export { type InjectedStatus, readStatus } from "./status.ts";
export { podPathOf } from "./workload.ts";
