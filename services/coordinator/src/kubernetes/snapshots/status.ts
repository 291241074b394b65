import type { Snapshot } from "@cutline/proto/snapshot";
import { type ConditionFacts, kubeTime, mergeConditions } from "../conditions.ts";
import type { GlobalSnapshot } from "../resources/objects.ts";
import { problemsMax, type SnapshotStatus, snapshotPhases } from "../resources/status.ts";

type Phase = (typeof snapshotPhases)[number];
type Problem = NonNullable<SnapshotStatus["problems"]>[number];

const messageCharsMax = 1_024;

/** Whether the data of a snapshot that has ended is there, and if not, why. */
export type DataFacts =
  | { readonly is: "stored" }
  | { readonly is: "none" }
  | { readonly is: "expired" | "gone"; readonly message: string };

export interface StatusContext {
  readonly nowMs: number;
  readonly term: number;
}

/** The status for what the coordinator says of the snapshot. */
export function statusOf(object: GlobalSnapshot, snapshot: Snapshot, context: StatusContext): SnapshotStatus {
  const phase = phaseOf(snapshot);
  const { progress } = snapshot;
  const problems = problemsOf(snapshot);
  const data: DataFacts = phase === "Completed" ? { is: "stored" } : { is: "none" };
  return {
    observedGeneration: object.metadata.generation,
    phase,
    ...(snapshot.reason !== "" && { reason: snapshot.reason }),
    ...(snapshot.message !== "" && { message: cut(snapshot.message) }),
    snapshotId: snapshot.id,
    attempt: snapshot.attempt,
    term: context.term,
    processes: `${progress?.processesCut ?? 0}/${progress?.processesTotal ?? 0}`,
    channels: `${progress?.channelsClosed ?? 0}/${progress?.channelsTotal ?? 0}`,
    inFlightMessages: progress?.inFlightMessages ?? 0,
    storedBytes: progress?.storedBytes ?? 0,
    ...(phase === "Completed" && { exact: snapshot.exact, partial: snapshot.partial }),
    ...(isTime(snapshot.createdAt) && { startedAt: wholeSeconds(snapshot.createdAt) }),
    ...(isTime(snapshot.endedAt) && { endedAt: wholeSeconds(snapshot.endedAt) }),
    ...(problems.length > 0 && { problems }),
    conditions: conditionsOf(object, context, [
      { type: "Accepted", status: "True", reason: "Started", message: `the coordinator calls it ${snapshot.id}` },
      ...endConditions(phase, snapshot.reason, cut(snapshot.message)),
      ...(phase === "Completed" ? [exactCondition(snapshot, problems)] : []),
      ...(hasEnded(phase) ? [dataCondition(data)] : []),
    ]),
  };
}

/** It has not begun: the coordinator refuses it for now, or it is too late. */
export function waitingStatus(
  object: GlobalSnapshot,
  refusal: { readonly code: string; readonly message: string },
  phase: "Pending" | "Failed" | "Aborted",
  context: StatusContext,
): SnapshotStatus {
  const { code: reason } = refusal;
  const message = cut(refusal.message);
  return {
    observedGeneration: object.metadata.generation,
    phase,
    reason,
    message,
    term: context.term,
    ...(hasEnded(phase) && { endedAt: kubeTime(context.nowMs) }),
    conditions: conditionsOf(object, context, [
      { type: "Accepted", status: "False", reason, message },
      ...endConditions(phase, reason, message),
      ...(hasEnded(phase) ? [dataCondition({ is: "none" })] : []),
    ]),
  };
}

/** The document of a snapshot that was said to run is not in the store. */
export function lostStatus(object: GlobalSnapshot, context: StatusContext): SnapshotStatus {
  const reason = "DocumentMissing";
  const message = "the snapshot is no longer in the coordinator's store; make a new GlobalSnapshot";
  return {
    ...object.status,
    observedGeneration: object.metadata.generation,
    phase: "Failed",
    reason,
    message,
    term: context.term,
    endedAt: kubeTime(context.nowMs),
    conditions: conditionsOf(object, context, [
      ...endConditions("Failed", reason, message),
      dataCondition({ is: "none" }),
    ]),
  };
}

/** It has ended, and its data is not there any more. */
export function goneStatus(object: GlobalSnapshot, data: DataFacts, context: StatusContext): SnapshotStatus {
  return {
    ...object.status,
    observedGeneration: object.metadata.generation,
    term: context.term,
    conditions: conditionsOf(object, context, [dataCondition(data)]),
  };
}

export function hasEnded(phase: string | undefined): phase is "Completed" | "Failed" | "Aborted" {
  return phase === "Completed" || phase === "Failed" || phase === "Aborted";
}

export function conditionIs(object: GlobalSnapshot, type: string, status: "True" | "False"): boolean {
  return object.status?.conditions?.some((each) => each.type === type && each.status === status) ?? false;
}

function phaseOf({ phase }: Snapshot): Phase {
  return snapshotPhases.find((known) => known === phase) ?? "Pending";
}

function conditionsOf(object: GlobalSnapshot, { nowMs }: StatusContext, facts: readonly ConditionFacts[]) {
  return mergeConditions(object.status?.conditions ?? [], facts, object.metadata.generation, nowMs);
}

function endConditions(phase: Phase, reason: string, message: string): ConditionFacts[] {
  const why = reason === "" ? phase : reason;
  if (phase === "Completed") {
    return [
      {
        type: "Completed",
        status: "True",
        reason: why,
        message: "the global state is stored, and its certificate holds",
      },
      { type: "Failed", status: "False", reason: why, message: "it has completed" },
    ];
  }
  const failed = phase === "Failed" || phase === "Aborted";
  const text = message === "" ? `it is ${phase}` : message;
  return [
    { type: "Completed", status: "False", reason: why, message: text },
    { type: "Failed", status: failed ? "True" : "False", reason: why, message: failed ? text : "it has not failed" },
  ];
}

function exactCondition(snapshot: Snapshot, problems: readonly Problem[]): ConditionFacts {
  if (snapshot.exact) return { type: "Exact", status: "True", reason: "Proved", message: "every capture is exact" };
  const message = problems.map((problem) => `${problem.pod ?? "-"}: ${problem.message}`).join("; ");
  return { type: "Exact", status: "False", reason: problems[0]?.code ?? "NotExact", message: cut(message) };
}

function dataCondition(data: DataFacts): ConditionFacts {
  const type = "DataAvailable";
  switch (data.is) {
    case "stored":
      return { type, status: "True", reason: "Stored", message: "the global state can be read at the coordinator" };
    case "none":
      return { type, status: "False", reason: "NotCompleted", message: "there is no global state" };
    case "expired":
      return { type, status: "False", reason: "Expired", message: data.message };
    case "gone":
      return { type, status: "False", reason: "Removed", message: data.message };
  }
}

/** Who is to blame comes first; peers of the environment come last. */
function problemsOf(snapshot: Snapshot): Problem[] {
  const blamed = snapshot.phase === "Failed" ? blame(snapshot) : [];
  const told = snapshot.reasons.map(
    ({ code, message, processId }): Problem => ({
      ...(processId !== "" && { pod: processId }),
      code,
      message: cut(message),
    }),
  );
  const environment = (problem: Problem) => problem.code === "EnvironmentPeer";
  const violations = (snapshot.certificate?.violations ?? []).map(
    ({ code, message }): Problem => ({ code, message: cut(message) }),
  );
  return [
    ...blamed,
    ...violations,
    ...told.filter((problem) => !environment(problem)),
    ...told.filter(environment),
  ].slice(0, problemsMax);
}

/** Those that ended it; where nobody did, those that were waited for. */
function blame({ processes, reason, message }: Snapshot): Problem[] {
  // The lifecycle's sentence names the process it is about.
  const named = new Set(message.split(/[\s,;:()]+/));
  const culprits = processes.flatMap(({ id, phase }): Problem[] => {
    if (phase === "Lost")
      return [{ pod: id, code: "ProcessLost", message: "its agent went away and did not come back" }];
    return named.has(id) ? [{ pod: id, code: reason, message: cut(message) }] : [];
  });
  if (culprits.length > 0) return culprits;
  return processes.flatMap(({ id, phase }): Problem[] => {
    if (phase === "Waiting") return [{ pod: id, code: "NotCut", message: "it had not cut" }];
    return phase === "Cut" ? [{ pod: id, code: "NotStored", message: "its local state was not stored yet" }] : [];
  });
}

function cut(message: string): string {
  return message.length <= messageCharsMax ? message : `${message.slice(0, messageCharsMax - 1)}…`;
}

function isTime(text: string): boolean {
  return !Number.isNaN(Date.parse(text));
}

function wholeSeconds(text: string): string {
  return kubeTime(Date.parse(text));
}
