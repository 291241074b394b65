import { createHash } from "node:crypto";
import type { Snapshot } from "@cutline/proto/snapshot";
import type { SnapshotDocument, StoredSnapshot } from "@cutline/protocol";
import { timeOf, timeText } from "./clock.ts";

/** The stored and served form of a document. */
export function toSnapshot(document: SnapshotDocument, term: number): Snapshot {
  const { spec, startedAtMs, endedAtMs, earlierAttempts, certificate } = document;
  return {
    id: spec.id,
    phase: document.phase,
    reason: document.reason,
    message: document.message,
    attempt: document.attempt,
    attemptsMax: spec.attemptsMax,
    term,
    labels: { ...spec.labels },
    initiator: spec.initiator,
    scope:
      spec.scope === undefined
        ? undefined
        : { namespaces: [...spec.scope.namespaces], labelSelector: { ...spec.scope.labelSelector } },
    createdAt: timeText(spec.createdAtMs),
    startedAt: timeText(startedAtMs),
    endedAt: timeText(endedAtMs),
    timeoutMs: spec.timeoutMs,
    durationMs: endedAtMs === undefined ? 0 : Math.max(0, endedAtMs - spec.createdAtMs),
    exact: document.exact,
    partial: document.partial,
    reasons: document.reasons,
    progress: document.progress,
    processes: document.processes,
    channels: document.channels,
    certificate,
    earlierAttempts: earlierAttempts.map(({ attempt, reason, message, endedAtMs: atMs }) => ({
      attempt,
      reason,
      message,
      endedAt: timeText(atMs),
    })),
    idempotencyKey: spec.idempotencyKey,
  };
}

/** The document to publish: with the digest of what was proved. */
export function toPublished(document: SnapshotDocument, certificateText: string, term: number): Snapshot {
  const snapshot = toSnapshot(document, term);
  const digest = createHash("sha256").update(certificateText).digest("hex");
  return {
    ...snapshot,
    certificate: snapshot.certificate === undefined ? undefined : { ...snapshot.certificate, digest },
  };
}

/** What a new leader goes on with. */
export function inherit(snapshot: Snapshot, nowMs: number): StoredSnapshot {
  return {
    phase: snapshot.phase,
    term: snapshot.term,
    spec: {
      id: snapshot.id,
      createdAtMs: timeOf(snapshot.createdAt) ?? nowMs,
      timeoutMs: snapshot.timeoutMs,
      attemptsMax: Math.max(1, snapshot.attemptsMax),
      labels: snapshot.labels,
      initiator: snapshot.initiator,
      scope: snapshot.scope,
      idempotencyKey: snapshot.idempotencyKey,
    },
    inherited: {
      attempt: Math.max(1, snapshot.attempt),
      startedAtMs: timeOf(snapshot.startedAt),
      earlierAttempts: snapshot.earlierAttempts.map(({ attempt, reason, message, endedAt }) => ({
        attempt,
        reason,
        message,
        endedAtMs: timeOf(endedAt) ?? nowMs,
      })),
      processes: snapshot.processes.map(({ id, incarnation, captureSource }) => ({
        id,
        incarnation,
        captureSource,
        labels: {},
      })),
    },
  };
}

export const runningPhases = ["Pending", "Cutting", "Collecting", "Verifying"] as const;
export const endedPhases = ["Completed", "Failed", "Aborted"] as const;
