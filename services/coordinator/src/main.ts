import {
  CutlineError,
  createLogger,
  loadConfig,
  renderConfigProblems,
  runUntilSignal,
  TlsError,
} from "@cutline/runtime";
import { createCoordinator } from "./app.ts";
import { coordinatorConfig } from "./config.ts";

/** What a program says that was configured wrongly (sysexits.h, EX_CONFIG). */
const exitBadConfig = 78;
const configCodes: ReadonlySet<string> = new Set(["ConfigInvalid", "TokenFileInvalid", "KubeConfigInvalid"]);

const loaded = loadConfig(coordinatorConfig, process.env);
if (loaded.outcome === "invalid") {
  process.stderr.write(renderConfigProblems(loaded.problems));
  process.exit(exitBadConfig);
}
const { config, warnings } = loaded;
const logger = createLogger({ service: "cutline-coordinator", level: config.logLevel });
for (const { variable, message } of warnings) logger.warn({ variable, reason: message }, "unknown setting");

const coordinator = createCoordinator(config, { logger });
const ended = runUntilSignal({
  process,
  logger,
  stop: () => coordinator.stop(),
  graceMs: config.stopGraceMs,
  exit: (code) => process.exit(code),
});
try {
  await coordinator.start();
} catch (error) {
  logger.error({ error }, "coordinator did not start");
  const isConfig = error instanceof TlsError || (error instanceof CutlineError && configCodes.has(error.code));
  process.exit(isConfig ? exitBadConfig : 1);
}
await ended;
