import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { until } from "../src/index.ts";
import { StatePage, type StatePageMode } from "./state-page.ts";
import { withSystem } from "./support.ts";

const agentLimitBytes = 4_096;
const coordinatorLimitBytes = 16_384;
const timeoutMs = 10_000;

const unknownId = "01aaaaaaaaaaaaaaaaaaaaaaaa";

interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly errors?: readonly { readonly field: string }[];
}

const pages = { small: await StatePage.open(), large: await StatePage.open() };

describe("bad input gets a clear answer and changes nothing", () => {
  after(() => Promise.all([pages.small.close(), pages.large.close()]));
  const capture = { CUTLINE_CAPTURE_TIMEOUT_MS: "700" };
  const system = withSystem({
    branches: [
      { name: "branch-a", environment: { BRANCH_PAUSE_MS: "20", BRANCH_CONCURRENCY: "2" } },
      {
        name: "branch-x",
        kind: "opaque",
        agentEnvironment: {
          ...capture,
          CUTLINE_CAPTURE: pages.small.url,
          CUTLINE_STATE_BYTES_MAX: String(agentLimitBytes),
        },
      },
      { name: "branch-y", kind: "opaque", agentEnvironment: { ...capture, CUTLINE_CAPTURE: pages.large.url } },
    ],
    coordinatorEnvironment: { CUTLINE_STATE_BYTES_MAX: String(coordinatorLimitBytes) },
  });
  before(async () => {
    const { phase, reason, message } = await system().rest.take({ timeoutMs });
    assert.equal(phase, "Completed", `${reason}: ${message}`);
  });

  async function problemOf(response: Response): Promise<Problem> {
    assert.match(response.headers.get("content-type") ?? "", /^application\/problem\+json/);
    const problem = (await response.json()) as Problem;
    assert.equal(problem.status, response.status);
    assert.ok(problem.title !== "" && problem.type !== "" && problem.detail !== "");
    return problem;
  }

  for (const [method, path] of [
    ["GET", `/v1/snapshots/${unknownId}`],
    ["GET", `/v1/snapshots/${unknownId}/state`],
    ["GET", `/v1/snapshots/${unknownId}/processes/bank%2Fbranch-a/state`],
    ["GET", `/v1/snapshots/${unknownId}/channels/1:0`],
    ["POST", `/v1/snapshots/${unknownId}:abort`],
    ["DELETE", `/v1/snapshots/${unknownId}`],
    ["GET", "/v1/snapshots/..%2F..%2Fetc%2Fpasswd"],
    ["GET", "/v1/nothing"],
  ] as const) {
    it(`${method} ${path}: 404`, async () => {
      const response = await system().rest.raw(method, path);
      assert.equal(response.status, 404);
      await problemOf(response);
    });
  }

  for (const [body, field] of [
    [{ timeoutMs: 5 }, "body/timeoutMs"],
    [{ timeoutMs: "soon" }, "body/timeoutMs"],
    [{ attempts: 99 }, "body/attempts"],
    [{ labels: { "not a key": "x" } }, "body/labels"],
    [{ scope: { namespaces: ["NOT A NAMESPACE"] } }, "body/scope/namespaces/0"],
    [{ priority: "high" }, "body/priority"],
  ] as const) {
    it(`POST /v1/snapshots ${JSON.stringify(body)}: 400 that names ${field}`, async () => {
      const { rest } = system();
      const known = (await rest.list()).length;
      const headers = { "content-type": "application/json" };
      const response = await rest.raw("POST", "/v1/snapshots", { headers, body: JSON.stringify(body) });
      assert.equal(response.status, 400);
      const { errors = [], code } = await problemOf(response);
      assert.equal(code, "Invalid");
      assert.ok(
        errors.some((error) => error.field.startsWith(field)),
        `the fields named are ${errors.map((error) => error.field).join(", ")}`,
      );
      assert.equal((await rest.list()).length, known);
    });
  }

  it("a body that is no JSON: 400; an initiator that nobody knows: 422", async () => {
    const { rest } = system();
    const headers = { "content-type": "application/json" };
    const torn = await rest.raw("POST", "/v1/snapshots", { headers, body: '{"timeoutMs":' });
    assert.equal(torn.status, 400);
    await problemOf(torn);
    const body = JSON.stringify({ initiator: "bank/nobody" });
    const unknown = await rest.raw("POST", "/v1/snapshots", { headers, body });
    assert.equal(unknown.status, 422);
    assert.match((await problemOf(unknown)).detail, /bank\/nobody/);
  });

  const cases: readonly (readonly [which: "small" | "large", mode: StatePageMode, ...told: RegExp[]])[] = [
    ["small", { does: "hangs" }, /CaptureTimedOut/, /bank\/branch-x/, /700/],
    ["small", { does: "errs" }, /StateUnreadable/, /bank\/branch-x/, /500/, /no idea/],
    ["small", { does: "talks garbage" }, /StateUnreadable/, /bank\/branch-x/],
    ["small", { does: "breaks off" }, /StateUnreadable/, /bank\/branch-x/],
    ["small", { does: "answers", bodyBytes: 5_000 }, /StateTooLarge/, /bank\/branch-x/, /4096/, /5000/],
    ["large", { does: "answers", bodyBytes: 20_000 }, /StateTooLarge/, /bank\/branch-y/, /16384/, /\d{5}/],
  ];
  for (const [which, mode, ...told] of cases) {
    const size = "bodyBytes" in mode ? ` with ${mode.bodyBytes} bytes` : "";
    it(`a state source that ${mode.does}${size}: the reason names the process, and the traffic goes on`, async () => {
      const { rest } = system();
      pages[which].mode = mode;
      const failed = await rest.take({ timeoutMs, attempts: 1 });
      assert.equal(failed.phase, "Failed");
      for (const pattern of told) assert.match(`${failed.reason}: ${failed.message}`, pattern);
      assert.ok(failed.durationMs < timeoutMs);

      const before = await system().branch("branch-x").state();
      await until("transfers to and from branch-x", async () => {
        const { counters } = await system().branch("branch-x").state();
        const received = counters.transfersReceived > before.counters.transfersReceived;
        return received && counters.transfersSent > before.counters.transfersSent ? "moves" : undefined;
      });
      pages[which].mode = { does: "answers", bodyBytes: 100 };
      const next = await rest.take({ timeoutMs, attempts: 1 });
      assert.equal(next.phase, "Completed", `${next.reason}: ${next.message}`);
      assert.deepEqual((await system().branch("branch-x").state()).failures, {});
    });
  }
});
