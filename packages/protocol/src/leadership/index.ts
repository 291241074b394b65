export { type AdmissionLimits, type StartRefusal, startRefusal } from "./admission.ts";
export { type AgentPresence, Attendance, type AttendanceLimits, endedMeanwhile, endOfAttempt } from "./attendance.ts";
export { type KnownProcess, ProcessDirectory, type ProcessHello } from "./directory.ts";
export { type Creation, type CreationAnswer, Lead, type StoredSnapshot } from "./lead.ts";
export {
  createLeaseState,
  holdsLease,
  type LeaseEffect,
  type LeaseInput,
  type LeaseState,
  type LeaseSuccession,
  leadingTerm,
  stepLease,
} from "./lease.ts";
export { directoryVersion, nextTerm, termEpochMs } from "./term.ts";
