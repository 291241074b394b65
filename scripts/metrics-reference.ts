/** Writes docs/reference/metrics.md from what an agent declares; `--check` only compares. */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { agentConfig, createAgent } from "@cutline/agent";
import { createMetrics, loadConfig, silentLogger } from "@cutline/runtime";

const path = fileURLToPath(new URL("../docs/reference/metrics.md", import.meta.url));

const loaded = loadConfig(agentConfig, {
  CUTLINE_PROCESS_ID: "any/process",
  CUTLINE_APPLICATION_ADDRESS: "127.0.0.1:1",
});
if (loaded.outcome === "invalid") throw new Error(JSON.stringify(loaded.problems));
const metrics = createMetrics();
// Never started: it declares its metrics when it is made.
createAgent(loaded.config, { logger: silentLogger, metrics });

const rows = metrics.describe().map(({ name, type, labels, help }) => {
  const names = labels.map((label) => `\`${label}\``).join(", ");
  return `| \`${name}\` | ${type} | ${names} | ${help} |\n`;
});

const text = `# Metrics

What an agent serves at \`/metrics\` of its page ([how to observe an agent](../how-to/observe-an-agent.md)), in the
Prometheus text format. This page is generated from what the agent declares (\`make docs-metrics\`).

| metric | type | labels | meaning |
| --- | --- | --- | --- |
${rows.join("")}
With mutual TLS there are also \`cutline_certificate_reloads_total\` (\`outcome\`: replaced or failed) and
\`cutline_certificate_expiry_timestamp_seconds\` (\`certificate\`, \`subject\`, \`serial\`), and beside all of these what
Node.js tells of itself (\`process_*\`, \`nodejs_*\`).

## Labels of calls

- \`direction\`: \`outbound\` for calls that the application makes, \`inbound\` for those made to it. A call over a link is
  counted by both agents, by each as it sees it.
- \`peer\`: the process at the other end; \`environment\` for calls that cross no link.
- \`authority\` and \`method\`: \`:authority\` and \`:path\` of the call.
- \`grpc_status\`: a gRPC status by its name (\`OK\`, \`UNAVAILABLE\`, ...); \`none\` for an answer without one (no gRPC);
  \`reset\` for a call whose answer was never completed: it was cancelled, its deadline passed, or its link was lost.

Resets by authority, method and peer are therefore \`cutline_calls_total{grpc_status="reset"}\`, and calls with the
environment are those with \`peer="environment"\`.

## Limits

200 methods, 100 authorities, 200 peers and 500 combinations of them are counted by name; what comes beyond is counted
as \`other\`, so that sums stay right. Names are cut to 200 characters. Peers of links: 200.
`;

if (process.argv.includes("--check")) {
  const written = await readFile(path, "utf8").catch(() => "");
  if (written !== text) {
    process.stderr.write("docs/reference/metrics.md is not what the agent declares; run: make docs-metrics\n");
    process.exitCode = 1;
  }
} else {
  await writeFile(path, text);
}
