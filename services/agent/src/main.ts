import { setFlagsFromString } from "node:v8";
import {
  createLogger,
  createMetrics,
  describeError,
  loadConfig,
  openCredentials,
  renderConfigProblems,
  runUntilSignal,
} from "@cutline/runtime";
import { type Agent, createAgent } from "./app.ts";
import { agentConfig } from "./config.ts";
import { IdentityError } from "./control/identity-request.ts";
import { agentLabelSetsMax } from "./metrics/agent-metrics.ts";

/** What a program says that was configured wrongly (sysexits.h, EX_CONFIG). */
const exitBadConfig = 78;
/** What closing takes beyond the grace period of calls and snapshots. */
const exitGraceMs = 5_000;

/**
 * The heap may grow to twice what lives in it before all of it is searched, and not by 8 MiB only, as V8 has it for small
 * heaps: the buffers that a local state passes through count, and one MiB of state would have a full search every second
 * time.
 */
setFlagsFromString("--heap-growing-percent=100");

const loaded = loadConfig(agentConfig, process.env);
if (loaded.outcome === "invalid") {
  process.stderr.write(renderConfigProblems(loaded.problems));
  process.exit(exitBadConfig);
}
const { config, warnings } = loaded;
const logger = createLogger({ service: "cutline-agent", level: config.logLevel });
for (const { variable, message } of warnings) logger.warn({ variable, reason: message }, "unknown setting");

let agent: Agent | undefined;
const waiting = new AbortController();
const ended = runUntilSignal({
  process,
  logger,
  async stop() {
    waiting.abort();
    await agent?.stop();
  },
  graceMs: config.stopGraceMs + exitGraceMs,
  exit: (code) => process.exit(code),
});
try {
  const self = { kind: "process", processId: config.processId } as const;
  const metrics = createMetrics({ nodeMetrics: true, labelSetsMax: agentLabelSetsMax });
  // What reads and writes certificates is loaded only where it is needed.
  const identity =
    config.identityUrl === undefined
      ? undefined
      : await (await import("./control/identity-open.ts")).openIdentity(config, config.identityUrl, {
          logger,
          metrics,
          signal: waiting.signal,
        });
  const credentials = await openCredentials({ config, self, logger, metrics, source: identity?.source });
  agent = createAgent(config, { logger, credentials, identity, metrics });
} catch (error) {
  if (waiting.signal.aborted) await ended;
  if (error instanceof IdentityError) logger.error({ error }, "agent did not start");
  else process.stderr.write(`${describeError(error)}\n`);
  process.exit(error instanceof IdentityError && error.code !== "IdentityInvalid" ? 1 : exitBadConfig);
}
try {
  await agent.start();
} catch (error) {
  logger.error({ error }, "agent did not start");
  process.exit(1);
}
await ended;
