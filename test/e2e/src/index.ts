export { type AuditedSnapshot, auditSnapshot, type Judgement } from "./system/audit.ts";
export { Branch, type BranchSpec } from "./system/branch.ts";
export { SystemError } from "./system/errors.ts";
export { reservePort } from "./system/ports.ts";
export { Program, type ProgramSpec } from "./system/program.ts";
export { Rest, RestProblem, type StartBody, type Topology } from "./system/rest.ts";
export { Service } from "./system/service.ts";
export { type System, type SystemOptions, startSystem } from "./system/system.ts";
export { until } from "./system/until.ts";
