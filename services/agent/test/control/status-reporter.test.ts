import assert from "node:assert/strict";
import { it } from "node:test";
import type { AgentStatus } from "@cutline/proto/control";
import { StatusReporter } from "../../src/control/status-reporter.ts";
import { testAgent, until } from "./support/agent.ts";

it("tells the status after every welcome and when it changes, not too often", async (t) => {
  const agent = await testAgent(t, {}, { onWelcome: () => reporter.welcomed() });
  const { coordinator } = agent;
  const status: AgentStatus = { ready: true, reasons: [], links: [], environment: [] };
  let looks = 0;
  const statusIntervalMs = 20;
  const reporter = new StatusReporter(
    agent.client,
    () => {
      looks += 1;
      return status;
    },
    { statusIntervalMs },
  );
  t.after(() => reporter.stop());
  const told = () => coordinator.received.flatMap((body) => (body.$case === "status" ? body.value.ready : []));
  const looked = async (times: number) => {
    const before = looks;
    await until(`${times} looks`, () => looks >= before + times);
  };
  await agent.attached();
  await looked(3);
  await until("told", () => told().length > 0);
  assert.deepEqual(told(), [true], "nothing has changed since the welcome");
  const beganAtMs = performance.now();
  for (let i = 0; i < 4; i += 1) {
    status.ready = !status.ready;
    await looked(1);
  }
  await until("all changes told", () => told().length === 5);
  assert.ok(performance.now() - beganAtMs >= 3 * statusIntervalMs - 5, "one look an interval");
  assert.deepEqual(told(), [true, false, true, false, true]);
  coordinator.closeStreams();
  await until("told again", () => told().length === 6);
  assert.equal(coordinator.hellos.length, 2);
});
