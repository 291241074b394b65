import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { verifyGlobalState } from "@cutline/cli";
import type { System } from "../src/index.ts";
import { halfway, withSystem } from "./support.ts";

const timeoutMs = 15_000;

/** Starts one that cannot complete, because the application of `frozen` has stopped, and waits until it is in its midst. */
async function startHalfway(system: System, frozen: string): Promise<string> {
  system.branch(frozen).application.freeze();
  const { id } = await system.rest.create({ timeoutMs, attempts: 1 });
  await halfway(system, id);
  return id;
}

/** Completes and verifies. Money is no measure here: nobody knows of a broken call whether its money has arrived. */
async function assertCompletes(system: System): Promise<void> {
  const snapshot = await system.rest.take({ timeoutMs });
  assert.equal(snapshot.phase, "Completed", `${snapshot.reason}: ${snapshot.message}`);
  assert.equal(snapshot.processes.length, system.branches.length);
  const bytes = await system.rest.state(snapshot.id);
  const { verdict, violations } = await verifyGlobalState(
    (async function* () {
      yield bytes;
    })(),
  );
  assert.equal(verdict, "valid", JSON.stringify(violations));
}

describe("SIGKILL in the midst of a snapshot", () => {
  const system = withSystem({
    branches: [{ name: "branch-a" }, { name: "branch-b" }, { name: "branch-c" }],
    coordinatorEnvironment: { CUTLINE_GRACE_MS: "1500" },
    agentEnvironment: { CUTLINE_CAPTURE_TIMEOUT_MS: "12000" },
  });
  after(() => system().branch("branch-b").application.thaw());

  it("of an agent: it ends with a reason that names the process, and the next one completes when the agent is back", async () => {
    const id = await startHalfway(system(), "branch-b");
    await system().branch("branch-a").agent.kill();
    const ended = await system().rest.ended(id);
    assert.equal(ended.phase, "Failed");
    // Whoever is first to say so: the coordinator, or a process that has lost its channel from it.
    assert.match(ended.reason, /^(ProcessLost|ChannelLost)$/, ended.message);
    assert.match(ended.message, /bank\/branch-a/);
    assert.ok(ended.durationMs < timeoutMs);
    system().branch("branch-b").application.thaw();
    await system().branch("branch-a").agent.restart();
    await system().ready();
    await assertCompletes(system());
  });

  it("of an application: it ends with a reason that names the process, and the next one completes when it is back", async () => {
    const id = await startHalfway(system(), "branch-b");
    await system().branch("branch-b").application.kill();
    const ended = await system().rest.ended(id);
    assert.equal(ended.phase, "Failed");
    assert.equal(ended.reason, "ApplicationUnreachable", ended.message);
    assert.match(ended.message, /bank\/branch-b/);
    assert.ok(ended.durationMs < timeoutMs);
    await system().branch("branch-b").application.restart();
    await system().ready();
    await assertCompletes(system());
  });

  it("of an agent, with attempts left: the snapshot completes in a later attempt, without the process or with it again", async () => {
    system().branch("branch-b").application.freeze();
    const { id } = await system().rest.create({ timeoutMs: 30_000, attempts: 3 });
    await halfway(system(), id);
    await system().branch("branch-c").agent.kill();
    system().branch("branch-b").application.thaw();
    await system().branch("branch-c").agent.restart();
    const ended = await system().rest.ended(id);
    assert.equal(ended.phase, "Completed", `${ended.reason}: ${ended.message}`);
    await system().ready();
  });
});
