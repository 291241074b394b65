/** A branch that is captured exactly: everything it takes is in this file. */
import { createParticipant } from "@cutline/participant";
import { Ledger } from "./ledger.ts";
import { type OpenBranch, openBranch } from "./open-branch.ts";
import type { BranchSettings } from "./settings.ts";

/** Opens a branch whose ledger, calls in process and messages in flight a snapshot sees at one consistent instant. */
export async function startBranch(settings: BranchSettings): Promise<OpenBranch> {
  const ledger = new Ledger(settings.name, settings.openingCents);
  const participant = createParticipant({ state: () => ledger.state() });
  return openBranch(settings, ledger, participant, "everything");
}
