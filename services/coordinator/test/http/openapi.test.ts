import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import fastify from "fastify";
import { bankDescriptorSet } from "./support/bank.ts";
import { emptyTopology } from "./support/fakes.ts";
import { serve } from "./support/server.ts";

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, { description: string; content?: Record<string, { schema: object }> }>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

/** Checks values against published schemas with the validator that Fastify brings. */
async function createValidator(document: Document) {
  const app = fastify({ ajv: { customOptions: { coerceTypes: false, removeAdditional: false, strict: false } } });
  const resolve = (value: unknown): unknown => {
    if (Array.isArray(value)) {
      return value.map(resolve);
    }
    if (typeof value !== "object" || value === null) {
      return value;
    }
    if ("$ref" in value && typeof value.$ref === "string") {
      const name = value.$ref.replace("#/components/schemas/", "");
      assert.ok(name in document.components.schemas, `${value.$ref} is not there`);
      return resolve(document.components.schemas[name]);
    }
    const entries = Object.entries(value).filter(([key]) => key !== "$id");
    const resolved = Object.fromEntries(entries.map(([key, inner]) => [key, resolve(inner)]));
    // An answer with a field that the document does not name is a defect of the document.
    return resolved.type === "object" && resolved.properties !== undefined
      ? { ...resolved, additionalProperties: false }
      : resolved;
  };
  let check: (value: unknown, schema: object) => string = () => "";
  app.get("/", (request) => {
    check = (value, schema) => {
      const validate = request.compileValidationSchema(resolve(schema) as Record<string, unknown>);
      return validate(value) ? "" : JSON.stringify(validate.errors);
    };
    return "";
  });
  await app.inject("/");
  await app.close();
  return check;
}

async function documentOf(t: TestContext): Promise<Document> {
  return (await serve(t, { metrics: { render: () => "" } }).app.inject("/openapi.json")).json();
}

describe("the OpenAPI document", () => {
  it("is 3.1 and names every call", async (t) => {
    const document = await documentOf(t);
    assert.match(document.openapi, /^3\.1\./);
    const calls = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(calls.sort(), [
      "DELETE /v1/snapshots/{id}",
      "GET /healthz",
      "GET /metrics",
      "GET /readyz",
      "GET /readyz/replica",
      "GET /v1/processes",
      "GET /v1/snapshots",
      "GET /v1/snapshots/{id}",
      "GET /v1/snapshots/{id}/channels/{cid}",
      "GET /v1/snapshots/{id}/processes/{pid}/state",
      "GET /v1/snapshots/{id}/state",
      "GET /v1/topology",
      "POST /v1/snapshots",
      "POST /v1/snapshots/{id}:abort",
    ]);
  });

  it("declares each path parameter, describes each answer and resolves each reference", async (t) => {
    const document = await documentOf(t);
    const operationIds = new Set<string>();
    for (const [path, item] of Object.entries(document.paths)) {
      for (const operation of Object.values(item)) {
        assert.equal(operationIds.has(operation.operationId), false);
        operationIds.add(operation.operationId);
        const declared = (operation.parameters ?? []).filter((each) => each.in === "path").map((each) => each.name);
        assert.deepEqual(
          declared,
          [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
          path,
        );
        for (const response of Object.values(operation.responses)) {
          assert.ok(response.description.length > 0);
        }
      }
    }
    for (const [, reference = ""] of JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)) {
      const name = reference.replace("#/components/schemas/", "");
      assert.ok(name in document.components.schemas, reference);
    }
  });

  it("is what the answers are", async (t) => {
    const document = await documentOf(t);
    const { app, snapshots } = serve(t, { descriptorSet: bankDescriptorSet() });
    const check = await createValidator(document);
    snapshots.view = {
      ...emptyTopology,
      links: [{ id: "l", a: "bank/branch-a", b: "bank/branch-b", phase: "connected", openCalls: 1 }],
      environment: [{ process: "bank/branch-a", authority: "x:1", direction: "outbound", calls: 1, openCalls: 0 }],
      processes: [
        {
          id: "bank/branch-a",
          incarnation: "i",
          agentVersion: "1",
          captureSource: "none",
          authorities: [],
          labels: {},
          attachedAt: "2026-01-01T00:00:00Z",
          phase: "attached",
          ready: true,
          reasons: [{ code: "X", message: "y" }],
        },
      ],
    };
    const calls: readonly [
      method: "GET" | "POST" | "DELETE",
      url: string,
      path: string,
      status: number,
      payload?: object,
    ][] = [
      ["POST", "/v1/snapshots", "/v1/snapshots", 202, {}],
      ["POST", "/v1/snapshots", "/v1/snapshots", 400, { labels: 1 }],
      ["GET", "/v1/snapshots?limit=1", "/v1/snapshots", 200],
      ["GET", "/v1/snapshots?limit=0", "/v1/snapshots", 400],
      ["GET", "/v1/snapshots/01JBANK", "/v1/snapshots/{id}", 200],
      ["GET", "/v1/snapshots/nobody", "/v1/snapshots/{id}", 404],
      ["POST", "/v1/snapshots/snap-2:abort", "/v1/snapshots/{id}:abort", 200],
      ["POST", "/v1/snapshots/snap-2:abort", "/v1/snapshots/{id}:abort", 409],
      ["GET", "/v1/snapshots/01JBANK/state", "/v1/snapshots/{id}/state", 200],
      ["GET", "/v1/snapshots/snap-2/state", "/v1/snapshots/{id}/state", 409],
      ["GET", "/v1/snapshots/01JBANK/channels/link1:0", "/v1/snapshots/{id}/channels/{cid}", 200],
      ["GET", "/v1/topology", "/v1/topology", 200],
      ["GET", "/v1/processes", "/v1/processes", 200],
      ["GET", "/healthz", "/healthz", 200],
      ["GET", "/readyz", "/readyz", 200],
      ["GET", "/readyz/replica", "/readyz/replica", 200],
    ];
    for (const [method, url, path, status, payload] of calls) {
      const answer = await app.inject({ method, url, ...(payload !== undefined && { payload }) });
      assert.equal(answer.statusCode, status, `${method} ${url}: ${answer.body}`);
      const type = String(answer.headers["content-type"]).split(";", 1)[0] ?? "";
      const schema = document.paths[path]?.[method.toLowerCase()]?.responses[status]?.content?.[type]?.schema;
      assert.ok(schema, `${method} ${path} ${status} ${type} is not in the document`);
      assert.equal(check(answer.json(), schema), "", `${method} ${url}`);
    }
  });

  it("can be browsed", async (t) => {
    const { app } = serve(t);
    const page = await app.inject("/docs/");
    assert.equal(page.statusCode, 200);
    assert.match(page.body, /swagger-ui/);
    assert.match((await app.inject("/docs/static/swagger-initializer.js")).body, /openapi\.json/);
  });
});
