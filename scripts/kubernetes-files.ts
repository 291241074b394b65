/**
 * Writes deploy/helm/cutline/crds, the controller's rules and what `cutline check` expects from the schemas and rules in the
 * coordinator; `--check` only compares. The schemas are the one source: the controller's TypeScript types come from them too.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import {
  callerRules,
  discoveryRules,
  identityRules,
  leaseRules,
  reviewRules,
  scheduleDefinition,
  snapshotDefinition,
  watchedRules,
  webhookConfigurationRules,
} from "@cutline/coordinator";
import { stringify } from "yaml";
import { checkExpectations } from "./check-expectations.ts";

const chart = new URL("../deploy/helm/cutline/", import.meta.url);
const note = "# Generated from services/coordinator/src/kubernetes by `npm run generate`; do not edit.\n";

const contents: Readonly<Record<string, unknown>> = {
  "crds/cutline.dev_globalsnapshots.yaml": snapshotDefinition,
  "crds/cutline.dev_globalsnapshotschedules.yaml": scheduleDefinition,
  "files/controller-rules.yaml": { watched: watchedRules, lease: leaseRules },
  "files/discovery-rules.yaml": { watched: discoveryRules },
  "files/identity-rules.yaml": {
    secrets: identityRules,
    reviews: reviewRules,
    webhookConfiguration: webhookConfigurationRules,
  },
  "files/caller-rules.yaml": callerRules,
};

/** Schemas share parts; the file repeats them, for not everything that reads YAML knows anchors. */
const format = { aliasDuplicateObjects: false, lineWidth: 0 };

const expectations = fileURLToPath(new URL("../packages/cli/src/check/expected.ts", import.meta.url));

const files = [
  ...Object.entries(contents).map(([path, content]) => ({
    path: fileURLToPath(new URL(path, chart)),
    text: note + stringify(content, format),
  })),
  { path: expectations, text: checkExpectations(expectations) },
];

async function drifted(): Promise<string[]> {
  const wrong: string[] = [];
  for (const { path, text } of files) {
    // A file that is not there is not what it should be.
    const written = await readFile(path, "utf8").catch(() => undefined);
    if (written !== text) wrong.push(path);
  }
  const known = new Set(files.map(({ path }) => path));
  const crds = fileURLToPath(new URL("crds/", chart));
  const strangers = (await readdir(crds)).map((name) => `${crds}${name}`).filter((path) => !known.has(path));
  return [...wrong, ...strangers];
}

if (process.argv.includes("--check")) {
  const wrong = await drifted();
  if (wrong.length > 0) {
    process.stderr.write(
      `Not what the coordinator's schemas generate; run \`npm run generate\`:\n${wrong.join("\n")}\n`,
    );
    process.exitCode = 1;
  }
} else {
  for (const { path, text } of files) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
}
