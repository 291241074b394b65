import { execFileSync } from "node:child_process";
import {
  discoveryRules,
  identityRules,
  leaseRules,
  reviewRules,
  scheduleDefinition,
  snapshotDefinition,
  watchedRules,
  webhookConfigurationRules,
} from "@cutline/coordinator";

/** Rules of the coordinator, with the settings of which one needs them, and where. */
const rules = [
  { for: "the controller", where: "watched", needs: ["CUTLINE_KUBERNETES"], rules: watchedRules },
  { for: "leading", where: "own", needs: ["CUTLINE_KUBERNETES"], rules: leaseRules },
  { for: "discovery", where: "watched", needs: ["CUTLINE_DISCOVERY"], rules: discoveryRules },
  // Their objects may have other names, so that only rules about all objects of a kind can be asked about.
  {
    for: "identities and access",
    where: "cluster",
    needs: ["CUTLINE_IDENTITY", "CUTLINE_ACCESS=kubernetes"],
    rules: [...reviewRules, ...[...identityRules, ...webhookConfigurationRules].filter((rule) => !rule.resourceNames)],
  },
];

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

function fieldsOf(schema: Schema | undefined, path = ""): string[] {
  return Object.entries(schema?.properties ?? {}).flatMap(([name, inner]) => {
    const own = path === "" ? name : `${path}.${name}`;
    return [own, ...fieldsOf(inner, own), ...fieldsOf(inner.items, own)];
  });
}

interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: unknown } }[];
  };
}

// Their own type leaves open what a spec holds.
const definitions = ([snapshotDefinition, scheduleDefinition] as unknown as readonly Definition[]).map(
  ({ metadata, spec }) => ({
    name: metadata.name,
    version: spec.versions[0]?.name,
    fields: fieldsOf(spec.versions[0]?.schema.openAPIV3Schema as Schema | undefined),
  }),
);

const types = `
/** A rule of the coordinator. */
export interface ExpectedRule {
  readonly for: string;
  /** In each watched namespace, in the coordinator's own one, or in the whole cluster. */
  readonly where: "watched" | "own" | "cluster";
  /** Settings, one of which is on: NAME, or NAME=VALUE. */
  readonly needs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}
`;

/** What `cutline check` compares a cluster with, as a module of the command line, at this path. */
export function checkExpectations(path: string): string {
  const flat = rules.flatMap(({ rules: inner, ...about }) =>
    inner.map(({ apiGroups, resources, verbs }) => ({ ...about, apiGroups, resources, verbs })),
  );
  const text = `// Generated from services/coordinator/src/kubernetes by \`npm run generate\`; do not edit.
${types}
export const expectedRules: readonly ExpectedRule[] = ${JSON.stringify(flat)};

/** The definitions of the custom resources, with the paths of their fields. */
export const expectedDefinitions = ${JSON.stringify(definitions)} as const satisfies readonly object[];
`;
  return execFileSync("biome", ["format", `--stdin-file-path=${path}`], { input: text, encoding: "utf8" });
}
