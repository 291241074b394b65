export { type Coordinator, type CoordinatorOptions, createCoordinator } from "./app.ts";
export { type CoordinatorConfig, coordinatorConfig } from "./config.ts";
export {
  callerRules,
  discoveryRules,
  identityRules,
  leaseRules,
  reviewRules,
  watchedRules,
  webhookConfigurationRules,
} from "./kubernetes/permissions.ts";
export { scheduleDefinition, snapshotDefinition } from "./kubernetes/resources/definitions.ts";
