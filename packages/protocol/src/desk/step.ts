import { type SnapshotRef, snapshotKey } from "../cut/state.ts";
import type { DeskEffect, DeskInput, PartEnded } from "./messages.ts";
import type { DeskEntry, DeskState } from "./state.ts";

/**
 * What a process owes the coordinator for each attempt that runs: reports, said again after every welcome, and parts,
 * kept until they are stored. Deterministic; changes `state` in place.
 */
export function stepDesk<R, P>(state: DeskState<R, P>, input: DeskInput<R, P>): DeskEffect<R, P>[] {
  const effects: DeskEffect<R, P>[] = [];
  apply(state, input, effects);
  return effects;
}

function apply<R, P>(state: DeskState<R, P>, input: DeskInput<R, P>, effects: DeskEffect<R, P>[]): void {
  switch (input.type) {
    case "noticed":
      opened(state, input.ref, input.nowMs, effects);
      return;
    case "begun": {
      const entry = opened(state, input.ref, input.nowMs, effects);
      if (entry === undefined) return;
      entry.expiresAtMs = input.nowMs + input.remainingMs + state.limits.forgetAfterMs;
      if (input.store) return;
      entry.store = false;
      dropParts(entry, effects);
      return;
    }
    case "cut": {
      const entry = opened(state, input.ref, input.nowMs, effects);
      const isWanted = entry !== undefined && entry.phase !== "failed";
      if (isWanted) report(entry, input.report, effects);
      for (const part of input.parts) {
        if (isWanted && entry.store) owe(entry, part, effects);
        else effects.push({ type: "release", content: part });
      }
      return;
    }
    case "channelClosed":
      channelClosed(state, input, effects);
      return;
    case "failed":
      failed(state, input.ref, input.report, input.nowMs, effects);
      return;
    case "forget":
      if (state.open.get(snapshotKey(input.ref))?.phase !== "failed") ended(state, input.ref, effects);
      return;
    case "ended":
      ended(state, input.ref, effects);
      return;
    case "welcomed":
      for (const entry of state.open.values()) repeat(entry, effects);
      return;
    case "partEnded":
      partEnded(state, input, effects);
      return;
    case "tick":
      for (const { ref, expiresAtMs } of [...state.open.values()]) {
        if (expiresAtMs > input.nowMs) continue;
        ended(state, ref, effects);
        effects.push({ type: "expired", ref });
      }
      return;
  }
}

function opened<R, P>(
  { open, limits }: DeskState<R, P>,
  ref: SnapshotRef,
  nowMs: number,
  effects: DeskEffect<R, P>[],
): DeskEntry<R, P> | undefined {
  const known = open.get(snapshotKey(ref));
  if (known !== undefined) return known;
  if (open.size >= limits.snapshotsMax) {
    const message = `this agent takes part in ${limits.snapshotsMax} snapshots already`;
    effects.push({ type: "giveUp", ref, code: "TooManySnapshots", message });
    return undefined;
  }
  const entry: DeskEntry<R, P> = {
    ref: { ...ref },
    reports: [],
    parts: new Set(),
    phase: "open",
    store: true,
    expiresAtMs: nowMs + limits.forgetAfterMs,
  };
  open.set(snapshotKey(ref), entry);
  return entry;
}

function channelClosed<R, P>(
  state: DeskState<R, P>,
  input: Extract<DeskInput<R, P>, { type: "channelClosed" }>,
  effects: DeskEffect<R, P>[],
): void {
  const { channel, recordedCount, keptCount, part } = input;
  const entry = opened(state, input.ref, input.nowMs, effects);
  if (entry !== undefined && entry.phase !== "failed") {
    if (keptCount !== recordedCount) {
      const message = `channel ${channel} has ${recordedCount} frames in flight, and ${keptCount} were kept`;
      giveUp(entry, "RecordsIncomplete", message, effects);
    } else {
      report(entry, input.report, effects);
      if (entry.store && recordedCount > 0) {
        owe(entry, part, effects);
        return;
      }
    }
  }
  effects.push({ type: "release", content: part });
}

function failed<R, P>(
  state: DeskState<R, P>,
  ref: SnapshotRef,
  said: R,
  nowMs: number,
  effects: DeskEffect<R, P>[],
): void {
  if (!state.open.has(snapshotKey(ref)) && state.open.size >= state.limits.snapshotsMax) {
    // There is no place to keep it: it is said once.
    effects.push({ type: "send", said: { report: said, outcome: "detached" } });
    return;
  }
  const entry = opened(state, ref, nowMs, effects);
  if (entry === undefined || entry.phase === "failed") return;
  entry.phase = "failed";
  entry.reports = [];
  dropParts(entry, effects);
  report(entry, said, effects);
}

function ended<R, P>(state: DeskState<R, P>, ref: SnapshotRef, effects: DeskEffect<R, P>[]): void {
  const entry = state.open.get(snapshotKey(ref));
  if (entry === undefined) return;
  state.open.delete(snapshotKey(ref));
  dropParts(entry, effects);
}

function repeat<R, P>(entry: DeskEntry<R, P>, effects: DeskEffect<R, P>[]): void {
  for (const said of entry.reports) effects.push({ type: "send", said });
  // A coordinator that has just come to lead may want what the one before did not.
  for (const part of entry.parts) {
    if (part.phase !== "notWanted") continue;
    part.phase = "underWay";
    effects.push({ type: "upload", part });
  }
}

function partEnded<R, P>(state: DeskState<R, P>, input: PartEnded<P>, effects: DeskEffect<R, P>[]): void {
  const { part } = input;
  // One that was dropped may still be heard of.
  if (part.phase !== "underWay") return;
  if (input.outcome === "notWanted") {
    part.phase = "notWanted";
    return;
  }
  part.phase = "over";
  effects.push({ type: "release", content: part.content });
  const entry = state.open.get(snapshotKey(part.ref));
  entry?.parts.delete(part);
  if (entry !== undefined && input.outcome === "failed") giveUp(entry, input.code, input.message, effects);
}

function report<R, P>(entry: DeskEntry<R, P>, content: R, effects: DeskEffect<R, P>[]): void {
  const said = { report: content, outcome: "detached" as const };
  entry.reports.push(said);
  effects.push({ type: "send", said });
}

function owe<R, P>(entry: DeskEntry<R, P>, content: P, effects: DeskEffect<R, P>[]): void {
  const part = { ref: entry.ref, content, phase: "underWay" as const };
  entry.parts.add(part);
  effects.push({ type: "upload", part });
}

function dropParts<R, P>(entry: DeskEntry<R, P>, effects: DeskEffect<R, P>[]): void {
  for (const part of entry.parts) {
    part.phase = "over";
    effects.push({ type: "release", content: part.content });
  }
  entry.parts.clear();
}

/** Once an attempt. */
function giveUp<R, P>(entry: DeskEntry<R, P>, code: string, message: string, effects: DeskEffect<R, P>[]): void {
  if (entry.phase !== "open") return;
  entry.phase = "givenUp";
  effects.push({ type: "giveUp", ref: entry.ref, code, message });
}
