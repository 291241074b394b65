/** Writes docs/reference/metrics.md from what an agent declares and the table below; `--check` only compares. */
import { globSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { agentConfig, createAgent } from "@cutline/agent";
import { createMetrics, loadConfig, type MetricRow, silentLogger } from "@cutline/runtime";

const repository = fileURLToPath(new URL("..", import.meta.url));
const path = fileURLToPath(new URL("../docs/reference/metrics.md", import.meta.url));

const loaded = loadConfig(agentConfig, {
  CUTLINE_PROCESS_ID: "any/process",
  CUTLINE_APPLICATION_ADDRESS: "127.0.0.1:1",
});
if (loaded.outcome === "invalid") throw new Error(JSON.stringify(loaded.problems));
const metrics = createMetrics();
// Never started: it declares its metrics when it is made.
createAgent(loaded.config, { logger: silentLogger, metrics });

const namesOf = (labels: readonly string[]) => labels.map((label) => `\`${label}\``).join(", ");
const rows = metrics
  .describe()
  .map(({ name, type, labels, help }) => `| \`${name}\` | ${type} | ${namesOf(labels)} | ${help} |\n`);

const withAccess = "`CUTLINE_ACCESS` `tokens`, `kubernetes`";
const withCertificates = "`CUTLINE_IDENTITY`, `CUTLINE_TLS_…`";
/** Name, type, labels, with which settings, meaning. A coordinator declares its metrics when it starts, not before. */
const ofCoordinator: readonly (readonly [string, MetricRow["type"], readonly string[], string, string])[] = [
  ["cutline_snapshots_total", "counter", ["outcome"], "", "Snapshots that ended"],
  ["cutline_snapshot_duration_seconds", "histogram", ["outcome"], "", "From the request to the end"],
  ["cutline_snapshots_running", "gauge", [], "", "Snapshots that run"],
  ["cutline_pause_seconds", "histogram", [], "", "How long one process's traffic was held for a cut"],
  ["cutline_stored_bytes_total", "counter", [], "", "Bytes of parts committed to the store"],
  ["cutline_agents", "gauge", [], "", "Agents known"],
  ["cutline_leading", "gauge", [], "", "1 while this replica leads"],
  [
    "cutline_tls_refusals_total",
    "counter",
    ["direction", "by", "code"],
    "",
    "Connections that one side refused because of TLS or a certificate",
  ],
  [
    "cutline_certificate_reloads_total",
    "counter",
    ["outcome"],
    withCertificates,
    "Changed certificates, by what became of them: replaced or failed",
  ],
  [
    "cutline_certificate_expiry_timestamp_seconds",
    "gauge",
    ["certificate", "subject", "serial"],
    withCertificates,
    "When this replica's certificate, or an authority it trusts, expires",
  ],
  [
    "cutline_access_checks_total",
    "counter",
    ["outcome"],
    withAccess,
    "Calls of the REST API that were judged: allowed, unauthenticated, forbidden or unknown",
  ],
  [
    "cutline_certificates_issued_total",
    "counter",
    ["outcome"],
    "`CUTLINE_IDENTITY`",
    "Requests for certificates: issued, or the code of the refusal",
  ],
  [
    "cutline_webhook_reviews_total",
    "counter",
    ["outcome", "code"],
    "`CUTLINE_WEBHOOK`",
    "Admission reviews, by what came of them and why",
  ],
  ["cutline_webhook_review_seconds", "histogram", [], "`CUTLINE_WEBHOOK`", "How long the decision about a pod took"],
  [
    "cutline_kubernetes_working",
    "gauge",
    [],
    "`CUTLINE_KUBERNETES`",
    "1 while this replica works on the cluster's objects",
  ],
  [
    "cutline_kubernetes_queue_length",
    "gauge",
    [],
    "`CUTLINE_KUBERNETES`",
    "Objects that wait for a pass, or for their next one",
  ],
  [
    "cutline_kubernetes_watch_age_seconds",
    "gauge",
    [],
    "`CUTLINE_KUBERNETES`",
    "Since the API server was last heard, of the stalest watch",
  ],
  [
    "cutline_kubernetes_passes_failed_total",
    "counter",
    [],
    "`CUTLINE_KUBERNETES`",
    "Passes over an object that ended with an error and are tried again",
  ],
  [
    "cutline_discovery_age_seconds",
    "gauge",
    [],
    "`CUTLINE_DISCOVERY`",
    "Since the API server was last heard of Services and EndpointSlices",
  ],
  ["cutline_discovery_services", "gauge", [], "`CUTLINE_DISCOVERY`", "Services that are known"],
  ["cutline_discovery_endpoint_slices", "gauge", [], "`CUTLINE_DISCOVERY`", "EndpointSlices that are known"],
  [
    "cutline_discovery_changes_total",
    "counter",
    [],
    "`CUTLINE_DISCOVERY`",
    "Changes of the directory that Services and EndpointSlices made",
  ],
  [
    "cutline_discovery_authorities_left_out",
    "gauge",
    [],
    "`CUTLINE_DISCOVERY`",
    "Authorities beyond the limit of one process",
  ],
];

/** The names in the sources of the coordinator, and of what it shares with agents, are those of the table. */
async function checkNames(): Promise<void> {
  const files = globSync("{services/coordinator,packages/runtime}/src/**/*.ts", { cwd: repository });
  const texts = await Promise.all(files.map((file) => readFile(join(repository, file), "utf8")));
  const named = new Set(texts.flatMap((text) => text.match(/(?<=")cutline_[a-z0-9_]+(?=")/g) ?? []));
  // Every program has it, and it stands in the text.
  named.delete("cutline_metric_label_overflows_total");
  const told = new Set(ofCoordinator.map(([name]) => name));
  const differing = [...named, ...told].filter((name) => !(named.has(name) && told.has(name)));
  if (differing.length > 0) {
    throw new Error(`the table in scripts/metrics-reference.ts and the sources differ: ${differing.join(", ")}`);
  }
}

await checkNames();
const coordinatorRows = ofCoordinator.map(
  ([name, type, labels, setting, help]) => `| \`${name}\` | ${type} | ${namesOf(labels)} | ${setting} | ${help} |\n`,
);

const text = `# Metrics

What agents and coordinators serve at \`/metrics\`, in the Prometheus text format. This page is generated (\`make
docs-metrics\`). Beside what is listed there is what Node.js tells of itself (\`process_*\`, \`nodejs_*\`; the event loop is
looked at every 100 ms, so that percentiles of \`nodejs_eventloop_lag\` are 0.1 s where nothing waits), and
\`cutline_metric_label_overflows_total\` (\`metric\`): samples that were counted as \`other\`, because their metric holds
as many combinations of labels as it may.

## Agent

At \`/metrics\` of its page, and of its health port ([how to observe an agent](../how-to/observe-an-agent.md)).

| metric | type | labels | meaning |
| --- | --- | --- | --- |
${rows.join("")}
With mutual TLS there are also \`cutline_certificate_reloads_total\` (\`outcome\`: replaced or failed) and
\`cutline_certificate_expiry_timestamp_seconds\` (\`certificate\`, \`subject\`, \`serial\`).

### Labels of calls

- \`direction\`: \`outbound\` for calls that the application makes, \`inbound\` for those made to it. A call over a link is
  counted by both agents, by each as it sees it.
- \`peer\`: the process at the other end; \`environment\` for calls that cross no link.
- \`authority\` and \`method\`: \`:authority\` and \`:path\` of the call.
- \`grpc_status\`: a gRPC status by its name (\`OK\`, \`UNAVAILABLE\`, ...); \`none\` for an answer without one (no gRPC);
  \`reset\` for a call whose answer was never completed: it was cancelled, its deadline passed, or its link was lost.

Resets by authority, method and peer are therefore \`cutline_calls_total{grpc_status="reset"}\`, and calls with the
environment are those with \`peer="environment"\`.

### Limits

200 methods, 100 authorities, 200 peers and 500 combinations of them are counted by name; what comes beyond is counted
as \`other\`, so that sums stay right. Names are cut to 200 characters. Peers of links: 200.

## Coordinator

At \`/metrics\` of the REST API, which asks for a token where [only some may call](../how-to/access.md). The fourth
column says with which settings a metric is there.

| metric | type | labels | with | meaning |
| --- | --- | --- | --- | --- |
${coordinatorRows.join("")}`;

if (process.argv.includes("--check")) {
  const written = await readFile(path, "utf8").catch(() => "");
  if (written !== text) {
    process.stderr.write("docs/reference/metrics.md is not what the programs declare; run: make docs-metrics\n");
    process.exitCode = 1;
  }
} else {
  await writeFile(path, text);
}
