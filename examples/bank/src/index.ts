export { type Audit, auditGlobalState, type GlobalState, moneyInFlightCents } from "./audit.ts";
export { startBranch } from "./branch.ts";
export { BankError } from "./errors.ts";
export type { BranchState } from "./ledger.ts";
export { startOpaqueBranch } from "./opaque-branch.ts";
export type { BranchStatus, OpenBranch } from "./open-branch.ts";
export { type BranchSettings, type PeerAddress, readSettings } from "./settings.ts";
