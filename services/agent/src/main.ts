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
import { agentLabelSetsMax } from "./metrics/agent-metrics.ts";

/** What a program says that was configured wrongly (sysexits.h, EX_CONFIG). */
const exitBadConfig = 78;
/** What closing takes beyond the grace period of calls and snapshots. */
const exitGraceMs = 5_000;

const loaded = loadConfig(agentConfig, process.env);
if (loaded.outcome === "invalid") {
  process.stderr.write(renderConfigProblems(loaded.problems));
  process.exit(exitBadConfig);
}
const { config, warnings } = loaded;
const logger = createLogger({ service: "cutline-agent", level: config.logLevel });
for (const { variable, message } of warnings) logger.warn({ variable, reason: message }, "unknown setting");

let agent: Agent;
try {
  const self = { kind: "process", processId: config.processId } as const;
  const metrics = createMetrics({ nodeMetrics: true, labelSetsMax: agentLabelSetsMax });
  const credentials = await openCredentials({ config, self, logger, metrics });
  agent = createAgent(config, { logger, credentials, metrics });
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exit(exitBadConfig);
}
const ended = runUntilSignal({
  process,
  logger,
  stop: () => agent.stop(),
  graceMs: config.stopGraceMs + exitGraceMs,
  exit: (code) => process.exit(code),
});
try {
  await agent.start();
} catch (error) {
  logger.error({ error }, "agent did not start");
  process.exit(1);
}
await ended;
