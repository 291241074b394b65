export { type Coordinator, type CoordinatorOptions, createCoordinator } from "./app.ts";
export { type CoordinatorConfig, coordinatorConfig } from "./config.ts";
