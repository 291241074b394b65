import { verifyGlobalState } from "@cutline/cli";
import { type Audit, auditGlobalState, type GlobalState } from "@cutline/example-bank";
import type { Snapshot } from "@cutline/proto/snapshot";
import type { System } from "./system.ts";

/**
 * `conserved`: exact, and every cent is there. `flagged`: it says itself that it is not exact, or partial (something went
 * around the agents); its total proves nothing. `violated`: it claims more than is true, or its document does not verify.
 */
export type Judgement = "conserved" | "flagged" | "violated";

export interface AuditedSnapshot {
  readonly judgement: Judgement;
  /** What is wrong; empty unless violated. */
  readonly problems: readonly string[];
  readonly snapshot: Snapshot;
  readonly audit: Audit;
}

/** Reads a Completed snapshot's global state, verifies it as `cutline verify` does, and counts the money in it. */
export async function auditSnapshot(system: System, snapshot: Snapshot): Promise<AuditedSnapshot> {
  const bytes = await system.rest.state(snapshot.id);
  const verified = await verifyGlobalState(piecesOf(bytes));
  const audit = auditGlobalState(JSON.parse(bytes.toString()) as GlobalState, system.totalCents);
  const problems = verified.violations.map(({ code, message }) => `${code}: ${message}`);
  const claim = snapshot.exact && !snapshot.partial ? "whole" : "flagged";
  if (claim === "whole" && audit.verdict === "violated") {
    problems.push(`the total is ${audit.totalCents} cents, not ${system.totalCents}`, ...audit.problems);
  }
  if (claim === "flagged" && snapshot.reasons.length === 0) problems.push("it is flagged and gives no reason");
  const judgement = problems.length > 0 ? "violated" : claim === "whole" ? "conserved" : "flagged";
  return { judgement, problems, snapshot, audit };
}

async function* piecesOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
