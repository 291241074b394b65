import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import {
  CutlineError,
  choice,
  defineConfig,
  describeConfig,
  flag,
  integer,
  list,
  loadConfig,
  renderConfigProblems,
  renderConfigTable,
  secret,
  text,
} from "../src/index.ts";

const definition = defineConfig({
  linkPort: integer("CUTLINE_LINK_PORT", {
    default: 15008,
    min: 0,
    max: 65535,
    unit: "port",
    doc: "Where links arrive.",
  }),
  timeoutMs: integer("CUTLINE_TIMEOUT_MS", {
    default: 30_000,
    min: 1,
    unit: "ms",
    doc: "How long a snapshot may take.",
  }),
  name: text("CUTLINE_NAME", { required: true, pattern: /[a-z]+/, patternDoc: "lower-case letters", doc: "The name." }),
  note: text("CUTLINE_NOTE", { doc: "A|B." }),
  authorities: list("CUTLINE_AUTHORITIES", { itemsMax: 3, doc: "What is served." }),
  plain: flag("CUTLINE_PLAIN", { default: false, doc: "Links without TLS." }),
  level: choice("CUTLINE_LEVEL", ["info", "debug"], { default: "info", doc: "The log level." }),
  token: secret("CUTLINE_TOKEN", { charsMax: 20, doc: "The bearer token." }),
});

function loaded(env: Record<string, string>) {
  const result = loadConfig(definition, { CUTLINE_NAME: "ledger", ...env });
  assert.equal(result.outcome, "ok");
  return result;
}

function problemsOf(env: Record<string, string>) {
  const result = loadConfig(definition, { CUTLINE_NAME: "ledger", ...env });
  assert.equal(result.outcome, "invalid");
  return result.problems;
}

describe("loadConfig", () => {
  it("gives defaults to what is not set or is empty", () => {
    const { config, warnings } = loaded({ CUTLINE_LINK_PORT: "" });
    assert.deepEqual(
      { ...config },
      {
        linkPort: 15008,
        timeoutMs: 30_000,
        name: "ledger",
        note: undefined,
        authorities: [],
        plain: false,
        level: "info",
        token: undefined,
      },
    );
    assert.deepEqual(warnings, []);
  });

  it("gives every value the type of its setting", () => {
    const { config } = loaded({
      CUTLINE_LINK_PORT: "0",
      CUTLINE_AUTHORITIES: " a:1, b:2,,",
      CUTLINE_PLAIN: "True",
      CUTLINE_LEVEL: "debug",
    });
    const port: number = config.linkPort;
    const note: string | undefined = config.note;
    const level: "info" | "debug" = config.level;
    const authorities: readonly string[] = config.authorities;
    // @ts-expect-error a text that may be absent is no string
    const wrong: string = config.note;
    assert.deepEqual(
      [port, note, level, authorities, wrong, config.plain],
      [0, undefined, "debug", ["a:1", "b:2"], undefined, true],
    );
  });

  it("reports all problems at once", () => {
    const problems = problemsOf({
      CUTLINE_NAME: "",
      CUTLINE_LINK_PORT: "65536",
      CUTLINE_TIMEOUT_MS: "30s",
      CUTLINE_AUTHORITIES: "a,b,c,d",
      CUTLINE_PLAIN: "maybe",
      CUTLINE_LEVEL: "loud",
    });
    assert.equal(
      renderConfigProblems(problems),
      "CUTLINE_LINK_PORT must be a whole number from 0 to 65535\n" +
        `CUTLINE_TIMEOUT_MS must be a whole number from 1 to ${Number.MAX_SAFE_INTEGER}\n` +
        "CUTLINE_NAME is required: The name.\n" +
        "CUTLINE_AUTHORITIES has 4 items; at most 3 are allowed\n" +
        "CUTLINE_PLAIN must be true or false\n" +
        "CUTLINE_LEVEL must be one of info, debug\n",
    );
  });

  it("wants a pattern to match the whole value", () => {
    assert.deepEqual(problemsOf({ CUTLINE_NAME: "ledger 1" }), [
      { variable: "CUTLINE_NAME", message: "must be lower-case letters" },
    ]);
  });

  for (const raw of ["1.5", "0x10", "1e3", "-1", "NaN", "99999999999999999999", "９"]) {
    it(`refuses ${raw} as a port`, () => {
      assert.equal(problemsOf({ CUTLINE_LINK_PORT: raw }).length, 1);
    });
  }

  it("warns of unknown variables of its prefix and suggests the near miss", () => {
    const { warnings } = loaded({ CUTLINE_LINK_PROT: "1", CUTLINE_SOMETHING_ELSE: "1", HOME: "/" });
    assert.deepEqual(warnings, [
      {
        variable: "CUTLINE_LINK_PROT",
        message: "is not a setting of this program and is ignored; did you mean CUTLINE_LINK_PORT?",
      },
      { variable: "CUTLINE_SOMETHING_ELSE", message: "is not a setting of this program and is ignored" },
    ]);
  });

  it("takes no notice of the variables Kubernetes makes for a Service", () => {
    const { warnings } = loaded({
      CUTLINE_COORDINATOR_SERVICE_HOST: "10.0.0.1",
      CUTLINE_COORDINATOR_SERVICE_PORT_GRPC: "9090",
      CUTLINE_COORDINATOR_PORT: "tcp://10.0.0.1:9090",
      CUTLINE_COORDINATOR_PORT_9090_TCP_ADDR: "10.0.0.1",
    });
    assert.deepEqual(warnings, []);
  });

  it("never shows a secret", () => {
    const { config } = loaded({ CUTLINE_TOKEN: "hunter2" });
    assert.equal(config.token?.reveal(), "hunter2");
    assert.doesNotMatch(
      `${JSON.stringify(config)} ${inspect(config, { showHidden: true })} ${config.token}`,
      /hunter2/,
    );
    const tooLong = problemsOf({
      CUTLINE_TOKEN: "hunter2".repeat(9),
      CUTLINE_LINK_PORT: "hunter2",
      CUTLINE_LEVEL: "hunter2",
    });
    assert.equal(tooLong.length, 3);
    assert.doesNotMatch(JSON.stringify(tooLong), /hunter2/);
  });
});

describe("defineConfig", () => {
  it("refuses two settings for one variable", () => {
    assert.throws(
      () => defineConfig({ a: text("CUTLINE_A", { doc: "A." }), b: flag("CUTLINE_A", { default: true, doc: "B." }) }),
      (error) => error instanceof CutlineError && error.code === "DuplicateVariable",
    );
  });
});

describe("the configuration reference", () => {
  it("has a row for every setting", () => {
    assert.deepEqual(describeConfig(definition)[0], {
      variable: "CUTLINE_LINK_PORT",
      type: "integer, 0 to 65535",
      default: "15008",
      unit: "port",
      required: false,
      doc: "Where links arrive.",
    });
  });

  it("is one Markdown table", () => {
    assert.deepEqual(renderConfigTable(definition).split("\n"), [
      "| variable | type | default | unit | meaning |",
      "| --- | --- | --- | --- | --- |",
      "| `CUTLINE_LINK_PORT` | integer, 0 to 65535 | `15008` | port | Where links arrive. |",
      "| `CUTLINE_TIMEOUT_MS` | integer, at least 1 | `30000` | ms | How long a snapshot may take. |",
      "| `CUTLINE_NAME` | text, lower-case letters | required |  | The name. |",
      "| `CUTLINE_NOTE` | text | none |  | A\\|B. |",
      "| `CUTLINE_AUTHORITIES` | list, comma separated | none |  | What is served. |",
      "| `CUTLINE_PLAIN` | true or false | `false` |  | Links without TLS. |",
      "| `CUTLINE_LEVEL` | one of info, debug | `info` |  | The log level. |",
      "| `CUTLINE_TOKEN` | secret | none |  | The bearer token. |",
      "",
    ]);
  });
});
