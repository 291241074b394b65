import { networkInterfaces } from "node:os";
import { createLogger, loadConfig, renderConfigProblems } from "@cutline/runtime";
import { applyRedirect } from "./apply.ts";
import { redirectConfig } from "./config.ts";

/** What a program says that was configured wrongly (sysexits.h, EX_CONFIG). */
const exitBadConfig = 78;

const loaded = loadConfig(redirectConfig, process.env);
if (loaded.outcome === "invalid") {
  process.stderr.write(renderConfigProblems(loaded.problems));
  process.exit(exitBadConfig);
}
const { outboundPorts, ...rest } = loaded.config;
const logger = createLogger({ service: "cutline-redirect", level: "info" });
const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ family, internal, scopeid }) => family === "IPv6" && !internal && scopeid === 0),
);
try {
  await applyRedirect({ rules: { ...rest, outboundPorts: outboundPorts.map(Number) }, hasIPv6, logger });
} catch (error) {
  logger.error({ error }, "traffic is not redirected");
  process.exitCode = 1;
}
