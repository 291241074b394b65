/** Writes docs/reference/configuration.md from the programs' own tables; `--check` only compares. */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { agentConfig, redirectConfig } from "@cutline/agent";
import { coordinatorConfig } from "@cutline/coordinator";
import { renderConfigTable } from "@cutline/runtime";

const path = fileURLToPath(new URL("../docs/reference/configuration.md", import.meta.url));

const text = `# Configuration

The coordinator, the agent and \`cutline-redirect\` are configured by environment variables, and by nothing else; the
command line has [options](cli.md). A value that cannot be is refused at the start, with the variable and what it may
be; an unknown \`CUTLINE_\` variable is warned of. This page is generated from the programs' own tables (\`make
docs-config\`).

## Coordinator

${renderConfigTable(coordinatorConfig)}
## Agent

${renderConfigTable(agentConfig)}
## cutline-redirect

It writes the rules of [redirect mode](../how-to/inject.md#redirect) and ends.

${renderConfigTable(redirectConfig)}`;

if (process.argv.includes("--check")) {
  const written = await readFile(path, "utf8");
  if (written !== text) {
    process.stderr.write("docs/reference/configuration.md is not what the programs say; run: make docs-config\n");
    process.exitCode = 1;
  }
} else {
  await writeFile(path, text);
}
