import { CutlineError } from "@cutline/runtime";

export type CaptureErrorCode =
  | "ApplicationUnreachable"
  | "CaptureQueueFull"
  | "CaptureTimedOut"
  | "CaptureRefused"
  | "CaptureAborted"
  | "StateUnreadable"
  | "StateTooLarge"
  | "StateDamaged";

/** This process cannot be captured; the message says why, for the person who reads the snapshot's reason. */
export class CaptureError extends CutlineError<CaptureErrorCode> {}
