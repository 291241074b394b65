import type { Snapshot } from "@cutline/proto/snapshot";
import type { AuditedSnapshot } from "../system/audit.ts";
import { countOf, milliseconds, money, table } from "./words.ts";

const digestCharsShown = 16;

/** One snapshot as lines: a small table, and what proves it. */
export function reportOf({ snapshot, audit, judgement, problems }: AuditedSnapshot, totalCents: number): string[] {
  const inFlight = countOf(snapshot.progress?.inFlightMessages ?? 0, "message");
  const channels = Object.values(audit.perChannel).filter((cents) => cents > 0).length;
  const rows: [string, string, string, string][] = snapshot.processes
    .toSorted((a, b) => a.id.localeCompare(b.id))
    .map(({ id, exact, reasons, pauseUs }) => [
      nameOf(id),
      money((audit.perProcess[id]?.balanceCents ?? 0) + (audit.perProcess[id]?.unresolvedCents ?? 0)),
      exact ? "exact" : `not exact (${reasons.map(({ code }) => code).join(", ")})`,
      `paused ${milliseconds(pauseUs)}`,
    ]);
  rows.push([
    "on its way",
    money(audit.inFlightCents),
    `${inFlight} in flight, money on ${countOf(channels, "channel")}`,
    "",
  ]);
  rows.push(["total", money(audit.totalCents), totalWords(judgement, audit.totalCents - totalCents), ""]);
  return [
    ...table(rows),
    proofOf(snapshot),
    ...(judgement === "flagged"
      ? snapshot.reasons.map(({ message, processId }) => `flagged: ${nameOf(processId)}: ${message}`)
      : []),
    ...problems.map((problem) => `VIOLATED: ${problem}`),
  ];
}

function proofOf({ certificate, durationMs, processes }: Snapshot): string {
  const longest = Math.max(0, ...processes.map(({ pauseUs }) => pauseUs));
  const digest = certificate?.digest.slice(0, digestCharsShown) ?? "";
  return (
    `certificate ${certificate?.verdict ?? "missing"} for ${countOf(certificate?.channels ?? 0, "channel")}, ` +
    `digest ${digest}...; took ${durationMs} ms, longest pause ${milliseconds(longest)}`
  );
}

function totalWords(judgement: AuditedSnapshot["judgement"], differenceCents: number): string {
  switch (judgement) {
    case "conserved":
      return "exact: every cent is there";
    case "flagged":
      return differenceCents === 0 ? "flagged, and right all the same" : "flagged: it says itself that it is no proof";
    case "violated":
      return `WRONG by ${money(Math.abs(differenceCents))}, and not flagged`;
  }
}

/** `bank/branch-a`: `branch-a`. */
function nameOf(processId: string): string {
  return processId.slice(processId.indexOf("/") + 1);
}
