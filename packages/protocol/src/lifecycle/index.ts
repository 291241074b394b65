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
  phaseOf,
  refOf,
  restoreSnapshotState,
  type SnapshotPhase,
  type SnapshotStage,
  type SnapshotState,
} from "./state.ts";
export { runningFor, stepSnapshot } from "./step.ts";
