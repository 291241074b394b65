import type { ProcessId, SnapshotRef } from "../cut/state.ts";
import type { SnapshotDocument } from "./document.ts";
import type { ClosedEvidence, CutEvidence, PartKindName, ReasonFacts, StoredPart } from "./evidence.ts";
import type { ProcessFacts } from "./spec.ts";
import type { SnapshotState } from "./state.ts";

/** A process known when a snapshot begins; `detachedAtMs`: its stream broke then and its grace period runs. */
export interface RosterProcess extends ProcessFacts {
  readonly detachedAtMs?: number;
}

/** How a write of the document ended. `unknown`: it failed, or it may have happened or may still happen. */
export type WriteOutcome = "written" | "fenced" | "missing" | "published" | "unknown";
export type PublicationOutcome = "published" | "already" | "fenced" | "missing" | "unknown";

/**
 * What happens to a snapshot. Every input says what time it is; a clock that goes back counts as standing still. Inputs
 * with a `ref` of another attempt change nothing (I8).
 */
export type SnapshotInput = { readonly nowMs: number } & SnapshotHappening;

export type SnapshotHappening =
  /**
   * The first input: the document stands in the store. No attempt starts before `notBeforeMs`: after a take-over the
   * agents come back one by one, and an attempt with some of them could not be consistent.
   */
  | { readonly type: "begin"; readonly processes: readonly RosterProcess[]; readonly notBeforeMs?: number }
  | { readonly type: "attached"; readonly process: ProcessFacts }
  | { readonly type: "detached"; readonly processId: ProcessId; readonly incarnation: string }
  | { readonly type: "left"; readonly processId: ProcessId; readonly incarnation: string }
  | {
      readonly type: "cut";
      readonly ref: SnapshotRef;
      readonly processId: ProcessId;
      readonly incarnation: string;
      readonly report: CutEvidence;
    }
  | {
      readonly type: "channel";
      readonly ref: SnapshotRef;
      readonly processId: ProcessId;
      readonly incarnation: string;
      readonly report: ClosedEvidence;
    }
  | {
      readonly type: "captureFailed";
      readonly ref: SnapshotRef;
      readonly processId: ProcessId;
      readonly incarnation: string;
      readonly reason: ReasonFacts;
    }
  /** Bytes of some part are still arriving: the attempt does not stand still. */
  | { readonly type: "partProgress"; readonly ref: SnapshotRef }
  | { readonly type: "partStored"; readonly ref: SnapshotRef; readonly part: StoredPart }
  | {
      readonly type: "partFailed";
      readonly ref: SnapshotRef;
      readonly processId: ProcessId;
      readonly kind: PartKindName;
      /** `StateTooLarge` ends the snapshot: another attempt would meet the same limit. */
      readonly code: string;
      readonly message: string;
    }
  /** The answer to `persist`. `fenced` is heeded whatever `write` it names. */
  | { readonly type: "persisted"; readonly write: number; readonly outcome: WriteOutcome }
  /** The answers to `verifyParts`. */
  | { readonly type: "partsVerified"; readonly ref: SnapshotRef }
  | { readonly type: "partsCorrupt"; readonly ref: SnapshotRef; readonly message: string }
  /** The answers to `publish` and `readBack`. */
  | { readonly type: "publication"; readonly outcome: PublicationOutcome }
  | { readonly type: "publicationReadBack"; readonly outcome: "completed" | "notCompleted" | "unknown" }
  | { readonly type: "abort"; readonly message: string }
  | { readonly type: "tick" };

/**
 * What the shell must do, in exactly this order within one step:
 * 1. `note`s, so that the log tells the cause before its consequences.
 * 2. `sendEnd` and `removeParts` of the attempt that is over, before anything of the next one; only of attempts that the
 *    store is known to know. After a take-over, parts go only when the store has answered the first `persist`.
 * 3. One of `persist`, `verifyParts`, `publish`, `readBack`. Each is answered by an input; the next one is asked for
 *    only after that answer, so an attempt is known to the store before any process hears of it (I8), parts are read back
 *    before the publication (I5), and `Completed` is said to agents only after it.
 * 4. `sendStart`s.
 * 5. `ended`: the last effect of a snapshot, nothing follows.
 */
export type SnapshotEffect =
  | {
      readonly type: "note";
      readonly level: "info" | "warn" | "error";
      readonly event: SnapshotNote;
      readonly fields: Readonly<Record<string, string | number>>;
    }
  | {
      readonly type: "sendEnd";
      readonly ref: SnapshotRef;
      readonly phase: "Completed" | "Failed" | "Aborted";
      readonly reason: string;
    }
  | { readonly type: "removeParts"; readonly attemptThrough: number }
  | { readonly type: "persist"; readonly write: number; readonly document: SnapshotDocument }
  | { readonly type: "verifyParts"; readonly ref: SnapshotRef; readonly parts: readonly StoredPart[] }
  /** The shell puts the SHA-256 of `certificateText` into the document's `certificate.digest`. */
  | { readonly type: "publish"; readonly document: SnapshotDocument; readonly certificateText: string }
  | { readonly type: "readBack" }
  | {
      readonly type: "sendStart";
      readonly processId: ProcessId;
      readonly ref: SnapshotRef;
      readonly remainingMs: number;
      readonly store: boolean;
    }
  | { readonly type: "ended"; readonly outcome: EndOutcome };

/** `superseded`: another leader has it. `unresolved`: the store does not answer; its document decides later. */
export type EndOutcome = "Completed" | "Failed" | "Aborted" | "superseded" | "unresolved";

export type SnapshotNote =
  | "attemptStarted"
  | "attemptFailed"
  | "processCut"
  | "allCut"
  | "certificateValid"
  | "publicationUnknown"
  | "snapshotCompleted"
  | "snapshotFailed"
  | "snapshotAborted"
  | "snapshotSuperseded"
  | "reportIgnored";

export interface SnapshotStep {
  readonly state: SnapshotState;
  readonly effects: readonly SnapshotEffect[];
}
