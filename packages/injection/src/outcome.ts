import type { PatchOperation } from "./json-patch.ts";

export type SkipReason =
  | "NotAsked"
  | "SystemNamespace"
  | "OwnPod"
  | "StaticPod"
  /** What would be done has been done. */
  | "AlreadyInjected";

export type RefusalCode =
  | "AnnotationInvalid"
  | "AnnotationUnknown"
  | "CaptureFileNotShared"
  | "ContainerMissing"
  | "ContainerTaken"
  | "HostNetwork"
  | "JobNeedsNativeSidecars"
  | "PodInvalid"
  | "PortClash"
  | "PortMissing"
  | "UserClash"
  | "VolumeTaken"
  | "WindowsPod";

export interface Refusal {
  readonly outcome: "refused";
  readonly code: RefusalCode;
  /** What is wrong, with which thing, and what to do. */
  readonly message: string;
}

export interface Skip {
  readonly outcome: "skipped";
  readonly reason: SkipReason;
  readonly message: string;
  /** What its owner should know all the same. */
  readonly warnings: readonly string[];
}

export type Outcome =
  | {
      readonly outcome: "patch";
      /** Of the pod or pod template that was given. Never empty. */
      readonly operations: readonly PatchOperation[];
      readonly warnings: readonly string[];
      /** See {@link InjectedStatus.revision}. */
      readonly revision: string;
    }
  | Skip
  | Refusal;

/** What it quotes is somebody else's, and it goes into answers and logs. */
const messageCharsMax = 2_000;

export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.name = "Refused";
    const isLong = message.length > messageCharsMax;
    this.refusal = { outcome: "refused", code, message: isLong ? `${message.slice(0, messageCharsMax)}…` : message };
  }
}
