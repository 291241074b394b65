/** A branch that knows nothing of snapshots: a program as it stands, with a page that shows its state. */
import { Ledger } from "./ledger.ts";
import { type Capture, type OpenBranch, openBranch } from "./open-branch.ts";
import { Page } from "./page.ts";
import type { BranchSettings } from "./settings.ts";

const uncaptured: Capture = {
  server: (server) => server,
  client: (client) => client,
  atomic: (section) => section(),
};

export type OpaqueBranch = OpenBranch & { statePort: number };

/**
 * Opens a branch that sends and takes transfers only, each soon over: it can be captured where it touches the outside,
 * by reading `GET /state` on `127.0.0.1:statePort` in a moment in which no call is open.
 */
export async function startOpaqueBranch(settings: BranchSettings, statePort: number): Promise<OpaqueBranch> {
  const ledger = new Ledger(settings.name, settings.openingCents);
  const statePage = await Page.open(statePort, { "GET /state": () => ledger.state() });
  const branch = await openBranch(settings, ledger, uncaptured, "transfers");
  return {
    ...branch,
    statePort: statePage.port,
    async stop() {
      await branch.stop();
      await statePage.close();
    },
  };
}
