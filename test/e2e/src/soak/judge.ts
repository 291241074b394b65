import { verifyGlobalState } from "@cutline/cli";
import { auditGlobalState, type GlobalState } from "@cutline/example-bank";
import type { Snapshot } from "@cutline/proto/snapshot";

/** What one ended snapshot is worth. */
export type Verdict =
  | { readonly outcome: "conserved" }
  /** It says itself that it is not exact, and why; its total need not be right. */
  | { readonly outcome: "flagged"; readonly total: "right" | "wrong" }
  /** Wrong, and it does not say so. The worst there is. */
  | { readonly outcome: "violated"; readonly problems: readonly string[] }
  | { readonly outcome: "failed" };

export interface JudgeOptions {
  readonly totalCents: number;
  /** The processes that must be in it. */
  readonly processIds: readonly string[];
  /** Whether the document is checked as `cutline verify` does. */
  readonly verification: "verify" | "skip";
}

/** Judges a snapshot by its manifest and the bytes of its global state (undefined: it has none, it did not complete). */
export async function judge(snapshot: Snapshot, state: Buffer | undefined, options: JudgeOptions): Promise<Verdict> {
  if (snapshot.phase !== "Completed" || state === undefined) return { outcome: "failed" };
  const audit = auditGlobalState(JSON.parse(state.toString()) as GlobalState, options.totalCents);
  const problems: string[] = [];
  const { totalCents } = audit;
  if (snapshot.exact && audit.verdict === "violated") {
    problems.push(`the total is ${totalCents} cents, not ${options.totalCents}: ${totalCents - options.totalCents}`);
    problems.push(...audit.problems);
  }
  if (snapshot.exact && snapshot.partial) problems.push("it is partial, though all calls go through agents");
  if (!snapshot.exact && snapshot.reasons.length === 0) problems.push("it is not exact and gives no reason");
  for (const id of options.processIds) {
    if (!snapshot.processes.some((process) => process.id === id)) problems.push(`${id} is missing`);
  }
  if (snapshot.certificate?.verdict !== "valid") problems.push("it completed without a valid certificate");
  if (options.verification === "verify") {
    const { violations } = await verifyGlobalState(piecesOf(state));
    problems.push(...violations.map(({ code, message }) => `verify: ${code}: ${message}`));
  }
  if (problems.length > 0) return { outcome: "violated", problems };
  if (snapshot.exact) return { outcome: "conserved" };
  return { outcome: "flagged", total: totalCents === options.totalCents ? "right" : "wrong" };
}

async function* piecesOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
