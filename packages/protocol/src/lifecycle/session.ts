import type { SnapshotRef } from "../cut/state.ts";
import { documentOf, type SnapshotDocument } from "./document.ts";
import type { StoredPart } from "./evidence.ts";
import type { PublicationOutcome, SnapshotEffect, SnapshotHappening, WriteOutcome } from "./messages.ts";
import type { SnapshotStage, SnapshotState } from "./state.ts";
import { stepSnapshot } from "./step.ts";

/** Uploads of one attempt. */
export interface AttemptTraffic {
  /** Parts on their way to the store. */
  readonly names: Set<string>;
  /** Of these, and of those that have arrived. */
  bytes: number;
}

/** One snapshot, driven by one leader in one term. `stepSession` changes it in place. */
export interface SessionState {
  readonly snapshot: SnapshotState;
  readonly term: number;
  /** Between two writes of the progress. */
  readonly progressMs: number;
  /** Nothing more is said, and nothing is asked for that is not asked for already. */
  stopped: boolean;
  attempt: number;
  attemptOver: boolean;
  /** Another object for each attempt: whoever holds an earlier one learns that its attempt is over. */
  traffic: AttemptTraffic;
  readonly waitingWrites: PlannedWrite[];
  write: SessionWrite | undefined;
  /** One waits, or is under way. */
  progressPlanned: boolean;
  progressAtMs: number;
  /** The attempt whose processes the store knows: a take-over waits for these. */
  progressAttempt: number;
}

type PlannedWrite =
  | Exclude<SessionWrite, { readonly kind: "progress" }>
  | { readonly kind: "progress"; readonly stage: SnapshotStage };

/** What goes to the store; the next one is asked for only after the answer to this one. */
export type SessionWrite =
  | { readonly kind: "persist"; readonly write: number; readonly document: SnapshotDocument }
  | { readonly kind: "progress"; readonly document: SnapshotDocument }
  | { readonly kind: "publish"; readonly document: SnapshotDocument; readonly certificateText: string }
  | { readonly kind: "readBack" };

/** The answer to the write that was asked for last. */
export type SessionAnswer =
  | { readonly kind: "persist" | "progress"; readonly outcome: WriteOutcome }
  | { readonly kind: "publish"; readonly outcome: PublicationOutcome }
  | { readonly kind: "readBack"; readonly outcome: "completed" | "notCompleted" | "unknown" };

export type SessionInput = { readonly nowMs: number } & (
  | { readonly type: "happened"; readonly happening: SnapshotHappening }
  | { readonly type: "answered"; readonly answer: SessionAnswer }
  /** The store has committed a part of this attempt, which may be over by now. */
  | { readonly type: "committed"; readonly ref: SnapshotRef; readonly part: StoredPart }
  /** The lead is lost, or the program ends: writes that were asked for before go on. */
  | { readonly type: "stop" }
);

/** What the shell must do, in exactly this order, also over several steps. */
export type SessionEffect =
  /** What was begun for the attempt that ran is given up: its uploads, and reading its parts back. */
  | { readonly type: "attemptOver" }
  | Exclude<SnapshotEffect, { readonly type: "persist" | "publish" | "readBack" }>
  | { readonly type: "write"; readonly write: SessionWrite };

export function createSession(snapshot: SnapshotState, term: number, progressMs: number, nowMs: number): SessionState {
  return {
    snapshot,
    term,
    progressMs,
    stopped: false,
    attempt: snapshot.attempt,
    attemptOver: false,
    traffic: { names: new Set(), bytes: 0 },
    waitingWrites: [],
    write: undefined,
    progressPlanned: false,
    progressAtMs: nowMs,
    progressAttempt: 0,
  };
}

/** Steps the snapshot, and sees to it that its writes reach the store one after another. */
export function stepSession(session: SessionState, input: SessionInput): SessionEffect[] {
  const effects: SessionEffect[] = [];
  switch (input.type) {
    case "happened":
      happen(session, input.happening, input.nowMs, effects);
      break;
    case "answered":
      answer(session, input.answer, input.nowMs, effects);
      break;
    case "committed":
      happen(session, { type: "partStored", ref: input.ref, part: input.part }, input.nowMs, effects);
      dropLateParts(session, input.ref, effects);
      break;
    case "stop":
      session.stopped = true;
      endAttempt(session, "last", effects);
      return effects;
  }
  planProgress(session, input.nowMs);
  writeNext(session, input.nowMs, effects);
  return effects;
}

function happen(session: SessionState, happening: SnapshotHappening, nowMs: number, effects: SessionEffect[]): void {
  if (session.stopped) return;
  const step = stepSnapshot(session.snapshot, { ...happening, nowMs });
  followAttempt(session, effects);
  for (const effect of step.effects) {
    switch (effect.type) {
      case "persist":
        session.waitingWrites.push({ kind: "persist", write: effect.write, document: effect.document });
        break;
      case "publish": {
        const { document, certificateText } = effect;
        session.waitingWrites.push({ kind: "publish", document, certificateText });
        break;
      }
      case "readBack":
        session.waitingWrites.push({ kind: "readBack" });
        break;
      case "ended":
        session.stopped = true;
        effects.push(effect);
        break;
      default:
        effects.push(effect);
    }
  }
}

function followAttempt(session: SessionState, effects: SessionEffect[]): void {
  const { attempt, stage } = session.snapshot;
  const which = stage === "ending" || stage === "ended" ? "last" : "earlier";
  if (attempt === session.attempt && which === "earlier") return;
  endAttempt(session, which, effects);
  session.attempt = attempt;
}

/** `last`: no other attempt follows here. */
function endAttempt(session: SessionState, which: "earlier" | "last", effects: SessionEffect[]): void {
  if (!session.attemptOver) {
    session.traffic = { names: new Set(), bytes: 0 };
    effects.push({ type: "attemptOver" });
  }
  session.attemptOver = which === "last";
}

function answer(session: SessionState, given: SessionAnswer, nowMs: number, effects: SessionEffect[]): void {
  const { write } = session;
  if (write === undefined || write.kind !== given.kind) return;
  session.write = undefined;
  switch (given.kind) {
    case "persist":
      if (write.kind !== "persist") return;
      happen(session, { type: "persisted", write: write.write, outcome: given.outcome }, nowMs, effects);
      return;
    case "progress":
      if (given.outcome === "fenced")
        happen(session, { type: "persisted", write: -1, outcome: "fenced" }, nowMs, effects);
      session.progressPlanned = false;
      session.progressAtMs = nowMs;
      return;
    case "publish":
      happen(session, { type: "publication", outcome: given.outcome }, nowMs, effects);
      return;
    case "readBack":
      happen(session, { type: "publicationReadBack", outcome: given.outcome }, nowMs, effects);
  }
}

/** What an upload committed after its attempt was over belongs to nobody. */
function dropLateParts({ snapshot }: SessionState, ref: SnapshotRef, effects: SessionEffect[]): void {
  const current = snapshot.attempt === ref.attempt;
  if (!current || snapshot.end?.phase === "Failed" || snapshot.end?.phase === "Aborted") {
    effects.push({ type: "removeParts", attemptThrough: ref.attempt });
  }
}

/** At most one progress write waits at a time, and the next one comes `progressMs` after it; an attempt's first at once. */
function planProgress(session: SessionState, nowMs: number): void {
  const { stage, attempt } = session.snapshot;
  const running = stage === "cutting" || stage === "collecting" || stage === "verifying";
  const due = attempt !== session.progressAttempt || nowMs >= session.progressAtMs + session.progressMs;
  if (!running || session.stopped || session.progressPlanned || !due) return;
  session.progressPlanned = true;
  session.progressAttempt = attempt;
  session.waitingWrites.push({ kind: "progress", stage });
}

function writeNext(session: SessionState, nowMs: number, effects: SessionEffect[]): void {
  while (session.write === undefined) {
    const next = session.waitingWrites.shift();
    if (next === undefined) return;
    if (next.kind !== "progress") session.write = next;
    else if (session.snapshot.stage === next.stage && !session.stopped) {
      session.write = { kind: "progress", document: documentOf(session.snapshot) };
    } else {
      // Phases that another attempt or the end has made obsolete are not written any more.
      session.progressPlanned = false;
      session.progressAtMs = nowMs;
      continue;
    }
    effects.push({ type: "write", write: session.write });
  }
}
