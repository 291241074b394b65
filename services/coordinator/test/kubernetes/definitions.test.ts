import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { evaluate } from "@marcbachmann/cel-js";
import { scheduleDefinition, snapshotDefinition } from "../../src/kubernetes/resources/definitions.ts";
import { readCron } from "../../src/schedule/cron.ts";
import { ruleFailures, type StructuralSchema, schemaOf, walk } from "./support/schemas.ts";

const snapshotSchema = schemaOf(snapshotDefinition);
const scheduleSchema = schemaOf(scheduleDefinition);

const spec = { timeoutSeconds: 30, attempts: 3, abort: false };
const metadata = { name: "before-upgrade" };

describe("the schemas are structural", () => {
  /** What apiextensions/v1 refuses, or drops, in a structural schema. */
  const refused = ["$ref", "$id", "const", "anyOf", "patternProperties", "propertyNames", "uniqueItems", "definitions"];
  for (const [name, schema] of [
    ["GlobalSnapshot", snapshotSchema],
    ["GlobalSnapshotSchedule", scheduleSchema],
  ] as const) {
    it(`${name}: every field has a type, a description and bounds, and nothing that cannot be`, () => {
      walk(schema, (path, field) => {
        for (const keyword of refused) assert.ok(!(keyword in field), `${path} has ${keyword}`);
        assert.ok(field.type !== undefined, `${path} has a type`);
        const isItem = path.endsWith("[]") || path.endsWith("{}");
        assert.ok(isItem || (field.description ?? "").length > 5, `${path} has a description`);
        if (!path.startsWith(".spec")) return;
        if (field.type === "array") assert.ok(field.maxItems !== undefined, `${path} has maxItems`);
        if (field.additionalProperties !== undefined)
          assert.ok(field.maxProperties !== undefined, `${path} has maxProperties`);
        if (field.type === "string" && field.enum === undefined)
          assert.ok(field.maxLength !== undefined, `${path} has maxLength`);
        if (field.type === "integer")
          assert.ok(field.minimum !== undefined && field.maximum !== undefined, `${path} has limits`);
      });
    });
  }

  it("a field with a default need not be given", () => {
    walk(scheduleSchema, (path, { required = [], properties = {} }) => {
      for (const name of required) assert.equal(properties[name]?.default, undefined, `${path}.${name}`);
    });
    assert.deepEqual(scheduleSchema.properties?.spec?.required, ["schedule"]);
    assert.equal(snapshotSchema.properties?.spec?.required, undefined);
    assert.deepEqual(snapshotSchema.properties?.spec?.default, {});
  });
});

describe("every rule can be read", () => {
  for (const schema of [snapshotSchema, scheduleSchema]) {
    walk(schema, (path, field) => {
      for (const { rule, message } of field["x-kubernetes-validations"] ?? []) {
        it(`${path || "."}: ${message}`, () => {
          // A rule that cannot be parsed fails otherwise than by its missing variables.
          assert.throws(() => evaluate(rule, {}), /[Uu]nknown variable/);
        });
      }
    });
  }
});

describe("what a GlobalSnapshot may be", () => {
  const failures = (next: object, before?: object) => ruleFailures(snapshotSchema, next, before);

  it("may change as it likes until it has begun", () => {
    const pending = { metadata, spec, status: { phase: "Pending" } };
    assert.deepEqual(failures({ ...pending, spec: { ...spec, attempts: 5 } }, pending), []);
    assert.deepEqual(failures({ metadata, spec: { ...spec, attempts: 5 } }, { metadata, spec }), []);
  });

  const status = { phase: "Cutting", snapshotId: "snap1" };
  const changes: Record<string, object> = {
    attempts: { attempts: 5 },
    timeoutSeconds: { timeoutSeconds: 60 },
    "scope, added": { scope: { namespaces: ["shop"] } },
    "labels, added": { labels: { team: "blue" } },
    "initiator, added": { initiator: "shop/cart-0" },
  };
  for (const [what, change] of Object.entries(changes)) {
    it(`is fixed once it has begun: ${what}`, () => {
      const before = { metadata, spec, status };
      const [failure, ...more] = failures({ ...before, spec: { ...spec, ...change } }, before);
      assert.match(failure ?? "", /is fixed once the snapshot has begun/);
      assert.deepEqual(more, []);
      assert.match(failures(before, { ...before, spec: { ...spec, ...change } })[0] ?? "", /is fixed/, "the other way");
    });
  }

  it("takes a new policy, and an abort, also later; an abort for good", () => {
    const before = { metadata, spec, status };
    const policy = { deletionPolicy: "Keep", expiryPolicy: "Delete", ttlSecondsAfterFinished: 60 };
    assert.deepEqual(failures({ ...before, spec: { ...spec, ...policy } }, before), []);
    const aborted = { ...before, spec: { ...spec, abort: true } };
    assert.deepEqual(failures(aborted, before), []);
    assert.deepEqual(failures(before, aborted), [".spec.abort: an abort cannot be taken back"]);
  });

  it("takes status writes while its spec stands", () => {
    const before = { metadata, spec, status: { phase: "Cutting", snapshotId: "snap1" } };
    assert.deepEqual(failures({ ...before, status: { phase: "Completed", snapshotId: "snap1" } }, before), []);
  });

  it("has labels that are labels", () => {
    // A Map: the evaluator takes an object's `constructor` for its class.
    const labelled = (key: string, value: string) =>
      failures({ metadata, spec: { ...spec, labels: new Map([[key, value]]) } }).length;
    assert.equal(labelled("app", "cart"), 0);
    assert.equal(labelled("example.com/team", "blue_1.2"), 0);
    assert.equal(labelled("-app", "cart"), 1);
    assert.equal(labelled("app", "a b"), 1);
    assert.equal(labelled("constructor", "x"), 1);
  });
});

describe("what a GlobalSnapshotSchedule may be", () => {
  const failures = (schedule: string, name = "nightly") =>
    ruleFailures(scheduleSchema, { metadata: { name }, spec: { schedule, template: { spec } } });

  const good = [
    "* * * * *",
    "*/5 * * * *",
    "0 3 * * MON-FRI",
    "0,30 8-18/2 1,15 JAN-MAR,DEC *",
    "59 23 31 12 7",
    "05 09 01 01 0",
  ];
  for (const schedule of good) {
    it(`takes ${schedule}, and so does the controller`, () => {
      assert.deepEqual(failures(schedule), []);
      assert.equal(readCron(schedule, "Etc/UTC").outcome, "ok");
    });
  }

  const bad = [
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * 32 * *",
    "* * * 13 *",
    "* * * * 8",
    "* * * *",
    "* * * * * *",
    "@daily",
    "*/0 * * * *",
    "a * * * *",
    "* * * * * ",
    "*  * * * *",
    "1- * * * *",
  ];
  for (const schedule of bad) {
    it(`refuses ${schedule}`, () => {
      assert.match(failures(schedule)[0] ?? "", /must be five cron fields/);
    });
  }

  it("has a name that leaves room for the time", () => {
    assert.deepEqual(failures("* * * * *", "n".repeat(52)), []);
    assert.match(failures("* * * * *", "n".repeat(53))[0] ?? "", /at most 52 characters/);
  });

  it("checks the template as it checks a GlobalSnapshot, but for what is about its beginning", () => {
    const template = { spec: { ...spec, labels: { "-x": "y" } } };
    const object = { metadata: { name: "nightly" }, spec: { schedule: "* * * * *", template } };
    assert.match(ruleFailures(scheduleSchema, object)[0] ?? "", /\.spec\.template\.spec\.labels: each key/);
    const field: StructuralSchema | undefined = scheduleSchema.properties?.spec?.properties?.template?.properties?.spec;
    assert.deepEqual(field, snapshotSchema.properties?.spec);
  });
});

it("kubectl shows the columns in their order", () => {
  const [version] = snapshotDefinition.spec.versions as {
    additionalPrinterColumns: { name: string; priority?: number }[];
  }[];
  const shown = version?.additionalPrinterColumns
    .filter(({ priority }) => (priority ?? 0) === 0)
    .map(({ name }) => name);
  assert.deepEqual(shown, ["Phase", "Processes", "Channels", "InFlight", "Exact", "Age"]);
});
