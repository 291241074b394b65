import type { Snapshot } from "@cutline/proto/snapshot";
import { countOf, formatBytes } from "../output/values.ts";
import { type CheckName, checkNames, type Finding, type Findings } from "./findings.ts";

export interface VerifyReport {
  readonly verdict: "valid" | "invalid";
  readonly snapshotId: string;
  /** As the manifest says, checked against its processes. */
  readonly exact: boolean;
  readonly partial: boolean;
  readonly checks: readonly {
    readonly name: CheckName;
    readonly verdict: "ok" | "violated";
    readonly message: string;
    readonly violations: number;
  }[];
  /** The first ten thousand. */
  readonly violations: readonly Finding[];
}

export interface VerifyTotals {
  readonly states: number;
  readonly stateBytes: number;
  readonly calls: number;
  readonly recorded: number;
  readonly outbox: number;
}

export function formatReport(snapshot: Snapshot, totals: VerifyTotals, findings: Findings): VerifyReport {
  const channels = countOf(snapshot.channels.length, "channel");
  const messages: Readonly<Record<CheckName, string>> = {
    document: `the document is whole, and its snapshot is Completed`,
    certificate: `nothing was received that was not sent, and nothing sent is unaccounted for, on ${channels} (I1, I2)`,
    digest: `the certificate was made over exactly these numbers`,
    channels: `the channels here are the manifest's ${channels}, between its own processes`,
    recorded: `the recorded frames are the certificate's, number by number: ${countOf(totals.recorded, "frame")}`,
    outbox: `the outboxes hold as many frames as the manifest says: ${totals.outbox}`,
    states: `the local states have the manifest's sizes and hashes: ${countOf(totals.states, "process", "processes")}, ${formatBytes(totals.stateBytes)}`,
    calls: `the calls in process are as many as the manifest says: ${totals.calls}`,
    exactness: snapshot.exact
      ? `the snapshot is exact, and so is every process stored`
      : `the snapshot is not exact, and says why`,
  };
  const checks = checkNames.map((name) => {
    const violations = findings.countOf(name);
    return violations === 0
      ? { name, verdict: "ok" as const, message: messages[name], violations }
      : { name, verdict: "violated" as const, message: countOf(violations, "violation"), violations };
  });
  return {
    verdict: checks.every(({ verdict }) => verdict === "ok") ? "valid" : "invalid",
    snapshotId: snapshot.id,
    exact: snapshot.exact,
    partial: snapshot.partial,
    checks,
    violations: findings.kept,
  };
}
