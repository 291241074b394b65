import type { EventFacts } from "../events.ts";
import type { SnapshotStatus } from "../resources/status.ts";
import { hasEnded } from "./status.ts";

/** What to tell of a change: each only once, since each is a change of the status. */
export function eventsOfChange(before: SnapshotStatus | undefined, after: SnapshotStatus): EventFacts[] {
  const events: EventFacts[] = [];
  if (before?.snapshotId === undefined && after.snapshotId !== undefined) {
    events.push({
      type: "Normal",
      reason: "Started",
      message: `the coordinator has started snapshot ${after.snapshotId}`,
    });
  }
  if (after.phase === "Pending" && after.snapshotId === undefined && after.reason !== before?.reason) {
    events.push({ type: "Warning", reason: after.reason ?? "Refused", message: `not started yet: ${after.message}` });
  }
  if (before?.attempt !== undefined && (after.attempt ?? 0) > before.attempt) {
    events.push({ type: "Warning", reason: "AttemptFailed", message: `attempt ${after.attempt} has begun` });
  }
  if (hasEnded(after.phase) && !hasEnded(before?.phase)) events.push(endEvent(after));
  const gone = (status: SnapshotStatus | undefined) => dataOf(status)?.status === "False";
  if (dataOf(before)?.status === "True" && gone(after)) {
    events.push({ type: "Normal", reason: dataOf(after)?.reason ?? "Removed", message: dataOf(after)?.message ?? "" });
  }
  return events;
}

function endEvent(status: SnapshotStatus): EventFacts {
  if (status.phase !== "Completed") {
    const pods = [...new Set((status.problems ?? []).flatMap(({ pod }) => pod ?? []))];
    const blamed =
      pods.length === 0 || pods.some((pod) => status.message?.includes(pod)) ? "" : ` (${pods.join(", ")})`;
    return {
      type: "Warning",
      reason: status.reason || status.phase || "Failed",
      message: `${status.message}${blamed}`,
    };
  }
  const { processes, channels, inFlightMessages, exact } = status;
  const message = `${processes} processes, ${channels} channels, ${inFlightMessages} messages in flight`;
  return exact
    ? { type: "Normal", reason: "Completed", message: `${message}, exact` }
    : { type: "Warning", reason: "CompletedNotExact", message: `${message}, not exact: see .status.problems` };
}

function dataOf(status: SnapshotStatus | undefined) {
  return status?.conditions?.find(({ type }) => type === "DataAvailable");
}
