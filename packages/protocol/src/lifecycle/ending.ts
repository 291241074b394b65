import { describeMissing } from "./completion.ts";
import { completedDocument, documentOf, type SnapshotDocument } from "./document.ts";
import type { PublicationOutcome, SnapshotEffect, WriteOutcome } from "./messages.ts";
import { deadlineMs, type End, refOf, type SnapshotState } from "./state.ts";

/** Ends a snapshot that was certainly not published. */
export function end(
  state: SnapshotState,
  phase: "Failed" | "Aborted",
  reason: string,
  message: string,
  effects: SnapshotEffect[],
): void {
  state.end = { phase, reason, message, atMs: state.nowMs };
  state.stage = "ending";
  state.settleByMs = state.nowMs + state.policy.settleMsMax;
  effects.push(endNote(state, state.end));
  sayEnd(state, phase, reason, effects);
  persist(state, effects);
}

/**
 * Of an attempt whose number is not recorded nobody has heard from here. Where this leader has been passed over without
 * knowing it, the number is its successor's, and so are the processes and the parts of that attempt (I8, I9).
 */
function sayEnd(state: SnapshotState, phase: "Failed" | "Aborted", reason: string, effects: SnapshotEffect[]): void {
  if (state.attempt <= state.attemptRecorded) effects.push({ type: "sendEnd", ref: refOf(state), phase, reason });
  dropParts(state, state.attemptRecorded, effects);
}

/** After a take-over, the publication of the leader before may still be on its way, and would need its parts (I5). */
export function dropParts(state: SnapshotState, attemptThrough: number, effects: SnapshotEffect[]): void {
  if (state.owned) effects.push({ type: "removeParts", attemptThrough });
  else state.removeThrough = Math.max(state.removeThrough, attemptThrough);
}

/** The store has taken this leader's document: what an earlier leader sent is refused from here on. */
export function own(state: SnapshotState, effects: SnapshotEffect[]): void {
  if (state.owned) return;
  state.owned = true;
  if (state.removeThrough > 0) effects.push({ type: "removeParts", attemptThrough: state.removeThrough });
}

export function exceedDeadline(state: SnapshotState, effects: SnapshotEffect[]): void {
  const message = `after ${state.spec.timeoutMs} ms in attempt ${state.attempt}: ${describeMissing(state)}`;
  end(state, "Failed", "DeadlineExceeded", message, effects);
}

/** Asks for the document to be written as it stands now; only the answer to this write counts from here on. */
export function persist(state: SnapshotState, effects: SnapshotEffect[]): void {
  state.write += 1;
  state.rewriteAtMs = undefined;
  const document: SnapshotDocument =
    state.stage === "withdrawing" ? { ...documentOf(state), phase: "Failed" } : documentOf(state);
  effects.push({ type: "persist", write: state.write, document });
}

export function publish(state: SnapshotState, effects: SnapshotEffect[]): void {
  state.stage = "publishing";
  state.publishTries += 1;
  state.settleByMs = Math.max(state.nowMs, deadlineMs(state)) + state.policy.settleMsMax;
  effects.push({ type: "publish", ...completedDocument(state) });
}

export function onPublication(state: SnapshotState, outcome: PublicationOutcome, effects: SnapshotEffect[]): void {
  if (state.stage !== "publishing") return;
  switch (outcome) {
    case "published":
    case "already":
      complete(state, effects);
      return;
    case "fenced":
      supersede(state, effects);
      return;
    case "missing":
      vanish(state, effects);
      return;
    case "unknown":
      effects.push({ type: "note", level: "warn", event: "publicationUnknown", fields: { tries: state.publishTries } });
      readBack(state, effects);
  }
}

export function onReadBack(
  state: SnapshotState,
  outcome: "completed" | "notCompleted" | "unknown",
  effects: SnapshotEffect[],
): void {
  if (state.stage !== "readingBack") return;
  if (outcome === "completed") {
    complete(state, effects);
    return;
  }
  if (outcome === "unknown") {
    state.rewriteAtMs = state.nowMs + state.policy.rewriteMs;
    return;
  }
  if (state.nowMs < deadlineMs(state) && state.publishTries < state.policy.publishTriesMax) {
    publish(state, effects);
    return;
  }
  withdraw(state, effects);
}

/** A publication was tried, so Failed may be said only after the store has taken it in the place of Completed. */
function withdraw(state: SnapshotState, effects: SnapshotEffect[]): void {
  const message = `the store did not confirm the publication in ${state.publishTries} tries; the read-back found nothing`;
  const late = state.nowMs >= deadlineMs(state);
  state.end = {
    phase: "Failed",
    reason: late ? "DeadlineExceeded" : "PublicationFailed",
    message,
    atMs: state.nowMs,
  };
  state.stage = "withdrawing";
  persist(state, effects);
}

/** The answer to a write in the stages `ending` and `withdrawing`. */
export function onFinalWrite(state: SnapshotState, outcome: WriteOutcome, effects: SnapshotEffect[]): void {
  const ending = state.end;
  if (ending === undefined) return;
  switch (outcome) {
    case "written":
    case "missing":
      if (state.stage === "withdrawing") {
        // The parts stay: a publication that is still on its way would need them. Retention removes them.
        effects.push(endNote(state, ending), {
          type: "sendEnd",
          ref: refOf(state),
          phase: "Failed",
          reason: ending.reason,
        });
      }
      finish(state, ending.phase, effects);
      return;
    case "published":
      if (state.stage === "withdrawing") complete(state, effects);
      else supersede(state, effects);
      return;
    case "fenced":
      supersede(state, effects);
      return;
    case "unknown":
      state.rewriteAtMs = state.nowMs + state.policy.rewriteMs;
  }
}

/** Repeats what was left unknown, and gives up where the store stays silent. */
export function retryFinal(state: SnapshotState, effects: SnapshotEffect[]): void {
  if (state.nowMs >= state.settleByMs) {
    finish(state, "unresolved", effects);
    return;
  }
  if (state.rewriteAtMs === undefined || state.nowMs < state.rewriteAtMs) return;
  if (state.stage === "readingBack") readBack(state, effects);
  else persist(state, effects);
}

export function supersede(state: SnapshotState, effects: SnapshotEffect[]): void {
  effects.push({ type: "note", level: "warn", event: "snapshotSuperseded", fields: { attempt: state.attempt } });
  finish(state, "superseded", effects);
}

/** The document has been removed from the store under a running snapshot. */
export function vanish(state: SnapshotState, effects: SnapshotEffect[]): void {
  const reason = "DocumentMissing";
  state.end = {
    phase: "Failed",
    reason,
    message: "the document is no longer in the store; start a new snapshot",
    atMs: state.nowMs,
  };
  effects.push(endNote(state, state.end));
  sayEnd(state, "Failed", reason, effects);
  finish(state, "Failed", effects);
}

function readBack(state: SnapshotState, effects: SnapshotEffect[]): void {
  state.stage = "readingBack";
  state.rewriteAtMs = undefined;
  effects.push({ type: "readBack" });
}

function complete(state: SnapshotState, effects: SnapshotEffect[]): void {
  state.end = { phase: "Completed", reason: "", message: "", atMs: state.nowMs };
  effects.push(endNote(state, state.end), {
    type: "sendEnd",
    ref: refOf(state),
    phase: "Completed",
    reason: "",
  });
  if (state.attempt > 1) effects.push({ type: "removeParts", attemptThrough: state.attempt - 1 });
  finish(state, "Completed", effects);
}

function finish(
  state: SnapshotState,
  outcome: "Completed" | "Failed" | "Aborted" | "superseded" | "unresolved",
  effects: SnapshotEffect[],
): void {
  state.stage = "ended";
  effects.push({ type: "ended", outcome });
}

function endNote(state: SnapshotState, { phase, reason, message }: End): SnapshotEffect {
  const fields = { attempt: state.attempt, reason, reasonMessage: message };
  switch (phase) {
    case "Completed":
      return { type: "note", level: "info", event: "snapshotCompleted", fields: { attempt: state.attempt } };
    case "Failed":
      return { type: "note", level: "error", event: "snapshotFailed", fields };
    case "Aborted":
      return { type: "note", level: "info", event: "snapshotAborted", fields };
  }
}
