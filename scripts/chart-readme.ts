/**
 * Writes the chart's README.md: its table of values comes from values.yaml and the comments there (`# -- ...`, as for
 * helm-docs). `--check` only compares. A value without such a comment is refused.
 */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { isMap, isNode, isScalar, parseDocument, type YAMLMap } from "yaml";

const chart = new URL("../deploy/helm/cutline/", import.meta.url);
const path = fileURLToPath(new URL("README.md", chart));

interface Row {
  readonly key: string;
  readonly value: unknown;
  readonly text: string;
}

/** What follows `--` in the comment in front of a key. */
function textOf(comment: string | null | undefined): string | undefined {
  const found = (comment ?? "").split("\n").findLast((line) => line.startsWith(" -- "));
  return found?.slice(" -- ".length).trim();
}

/** The comment in front of a map's first key belongs to the map's own node. */
function rowsOf(map: YAMLMap, prefix: string): Row[] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) throw new Error(`${prefix}: a key that is no text`);
    const name = `${prefix}${String(key.value)}`;
    const own = textOf(key.commentBefore) ?? (index === 0 ? textOf(map.commentBefore) : undefined);
    if (own !== undefined) return [{ key: name, value: plainOf(value), text: own }];
    if (isMap(value) && value.items.length > 0) return rowsOf(value, `${name}.`);
    throw new Error(`values.yaml: ${name} has no comment that begins with \`# -- \``);
  });
}

function plainOf(node: unknown): unknown {
  return isNode(node) ? node.toJSON() : node;
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return "list";
  if (typeof value === "number") return "int";
  return typeof value === "boolean" ? "bool" : typeof value;
}

const values = parseDocument(await readFile(new URL("values.yaml", chart), "utf8"));
if (!isMap(values.contents)) throw new Error("values.yaml is no map");
const rows = rowsOf(values.contents, "").sort((one, other) => (one.key < other.key ? -1 : 1));
const cell = (text: string) => text.replaceAll("|", "\\|");
const lines = rows.map(
  ({ key, value, text }) => `| \`${key}\` | ${typeOf(value)} | \`${cell(JSON.stringify(value))}\` | ${cell(text)} |\n`,
);

const text = `# The chart of Cutline

Coordinator, webhook, rights, and a Redis for a trial. How to install, upgrade and remove it:
[install on Kubernetes](../../../docs/how-to/install-on-kubernetes.md). This page is generated from \`values.yaml\`
(\`npm run docs:chart\`); \`values.schema.json\` refuses every value that is not here.

\`\`\`sh
helm install cutline deploy/helm/cutline --namespace cutline --create-namespace
\`\`\`

Kubernetes 1.25 or newer; 1.29 for agents as native sidecars. Every pod meets Pod Security "restricted", the injected
agents too; only the traffic mode \`redirect\` needs more (NET_ADMIN, in an init container).

## Values

| key | type | default | meaning |
| --- | --- | --- | --- |
${lines.join("")}`;

if (process.argv.includes("--check")) {
  // A file that is not there is not what it should be.
  const written = await readFile(path, "utf8").catch(() => "");
  if (written !== text) {
    process.stderr.write("deploy/helm/cutline/README.md is not what values.yaml says; run: npm run docs:chart\n");
    process.exitCode = 1;
  }
} else {
  await writeFile(path, text);
}
