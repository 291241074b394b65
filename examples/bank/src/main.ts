/** One branch as a program: settings from BRANCH_* variables, one line of JSON for each thing that happens. */
import { startBranch } from "./branch.ts";
import { startOpaqueBranch } from "./opaque-branch.ts";
import { readSettings } from "./settings.ts";

function log(message: string, fields: object = {}): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), message, ...fields })}\n`);
}

try {
  const settings = readSettings(process.env);
  const { name: branch, opaqueStatePort } = settings;
  const open =
    opaqueStatePort === undefined ? await startBranch(settings) : await startOpaqueBranch(settings, opaqueStatePort);
  log("branch open", { branch, authority: open.authority });

  const stop = async (): Promise<void> => {
    await open.stop();
    log("branch closed", { branch, ...open.status() });
    process.exit(0);
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);

  await open.trade(settings.peers);
  log("trading", { branch, peers: settings.peers.map((peer) => peer.name) });
} catch (error) {
  const { code, message } = error as Error & { code?: string };
  log("branch failed", { code, error: message });
  process.exit(1);
}
