export { type Missing, missingOf } from "./completion.ts";
export {
  type CertificateDocument,
  type ChannelDocument,
  documentOf,
  type ProcessDocument,
  type ProgressDocument,
  type SnapshotDocument,
} from "./document.ts";
export {
  type ClosedEvidence,
  type CutEvidence,
  type EnvironmentFacts,
  type PartKindName,
  partName,
  type ReasonFacts,
  type SentEvidence,
  type StoredPart,
} from "./evidence.ts";
export type {
  EndOutcome,
  PublicationOutcome,
  RosterProcess,
  SnapshotEffect,
  SnapshotHappening,
  SnapshotInput,
  SnapshotNote,
  SnapshotStep,
  WriteOutcome,
} from "./messages.ts";
export {
  createSession,
  type SessionAnswer,
  type SessionEffect,
  type SessionInput,
  type SessionState,
  type SessionWrite,
  stepSession,
} from "./session.ts";
export {
  defaultSnapshotPolicy,
  inScope,
  type ProcessFacts,
  type Scope,
  type SnapshotPolicy,
  type SnapshotSpec,
} from "./spec.ts";
export {
  createSnapshotState,
  type EarlierAttempt,
  type Inheritance,
  isLastPhase,
  phaseOf,
  refOf,
  restoreSnapshotState,
  type SnapshotPhase,
  type SnapshotStage,
  type SnapshotState,
} from "./state.ts";
export { runningFor, stepSnapshot } from "./step.ts";
export {
  admitUpload,
  differingUpload,
  endUpload,
  growUpload,
  isUploadOver,
  type OfferedPart,
  type UploadAdmission,
  type UploadLimits,
  type UploadState,
} from "./uploads.ts";
