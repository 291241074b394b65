import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { chart, helm, render, type Values } from "./support/helm.ts";

/** Values that cannot be, and what Helm must say of them. */
const refused: readonly (readonly [values: Values, message: RegExp])[] = [
  [{ replicas: 3 }, /additional properties 'replicas' not allowed/],
  [{ coordinator: { replica: 3 } }, /'\/coordinator': additional properties 'replica' not allowed/],
  [{ coordinator: { replicas: 0 } }, /'\/coordinator\/replicas': minimum: got 0, want 1/],
  [{ coordinator: { logLevel: "loud" } }, /'\/coordinator\/logLevel': value must be one of 'trace'/],
  [{ coordinator: { settings: { LOG: "x" } } }, /'\/coordinator\/settings': additional properties 'LOG' not allowed/],
  [{ coordinator: { resources: { requests: { cpu: "much" } } } }, /'\/coordinator\/resources\/requests\/cpu'/],
  [{ image: { digest: "latest" } }, /'\/image\/digest': 'latest' does not match pattern/],
  [{ image: { pullPolicy: "Sometimes" } }, /'\/image\/pullPolicy': value must be one of 'Always'/],
  [{ watchNamespaces: ["Shop"] }, /'\/watchNamespaces\/0': 'Shop' does not match pattern/],
  [{ watchNamespaces: "shop" }, /'\/watchNamespaces': got string, want array/],
  [{ access: { mode: "none" } }, /'\/access\/mode': value must be one of 'kubernetes', 'tokens', 'open'/],
  [{ injection: { failurePolicy: "fail" } }, /'\/injection\/failurePolicy': value must be one of 'Fail', 'Ignore'/],
  [{ injection: { timeoutSeconds: 31 } }, /'\/injection\/timeoutSeconds': maximum: got 31, want 30/],
  [{ injection: { agent: { outboundPorts: [70_000] } } }, /'\/injection\/agent\/outboundPorts\/0': maximum/],
  [
    { injection: { agent: { clients: ["ruby"] } } },
    /'\/injection\/agent\/clients\/0': value must be one of 'go', 'java'/,
  ],
  [{ injection: { objectSelector: { labels: {} } } }, /'\/injection\/objectSelector': additional properties 'labels'/],
  [{ certManager: { duration: "90d" } }, /'\/certManager\/duration': '90d' does not match pattern/],
  [{ externalRedis: { url: "redis://x" } }, /'\/externalRedis': additional properties 'url' not allowed/],
  [{ redis: { maxMemory: "lots" } }, /'\/redis\/maxMemory'/],
  [{ redis: { runAsUser: 0 } }, /'\/redis\/runAsUser': minimum: got 0, want 1/],
  [{ redis: { persistence: { accessModes: [] } } }, /'\/redis\/persistence\/accessModes': minItems/],
  [{ networkPolicy: { egress: { apiServerPorts: ["https"] } } }, /'\/networkPolicy\/egress\/apiServerPorts\/0'/],
  [{ monitoring: { dashboards: {} } }, /'\/monitoring': additional properties 'dashboards' not allowed/],
];

describe("the schema of values", () => {
  for (const [values, message] of refused) {
    it(`refuses ${JSON.stringify(values)}`, async () => {
      await assert.rejects(render(values), message);
    });
  }

  it("knows exactly the values that there are, at every depth", async () => {
    const read = (name: string) => readFile(`${chart}/${name}`, "utf8");
    const schema: Schema = JSON.parse(await read("values.schema.json"));
    assert.deepEqual(differences(parse(await read("values.yaml")), schema, schema, ""), []);
  });
});

describe("the chart", () => {
  it("has nothing that helm lint would have otherwise", async () => {
    assert.match(await helm(["lint", "--strict", chart]), /1 chart\(s\) linted, 0 chart\(s\) failed/);
  });
});

interface Schema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: unknown;
}

function differences(values: unknown, schema: Schema, root: Schema, path: string): string[] {
  const found = schema.$ref === undefined ? schema : (root.$defs?.[schema.$ref.replace("#/$defs/", "")] ?? {});
  const { properties } = found;
  if (properties === undefined) return [];
  if (typeof values !== "object" || values === null) return [`${path} is no object`];
  // Optional parts of what is empty by default.
  if (Object.keys(values).length === 0) return [];
  const open = path === "/global" ? [] : found.additionalProperties === false ? [] : [`${path} takes anything`];
  const missing = Object.keys(properties)
    .filter((name) => !(name in values) && !isOptional(path, name))
    .map((name) => `${path}/${name} has no default`);
  const inner = Object.entries(values).flatMap(([name, value]) => {
    const property = properties[name];
    return property === undefined
      ? [`${path}/${name} is not in the schema`]
      : differences(value, property, root, `${path}/${name}`);
  });
  return [...open, ...missing, ...inner];
}

/** Parts of resources: what is not said is not asked for. */
const isOptional = (path: string, name: string) =>
  (/\/(requests|limits)$/.test(path) && name === "cpu") || (path === "/redis/image" && name === "digest");
