import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until } from "../src/index.ts";
import { assertHarmless, audited, takeAudited, withSystem } from "./support.ts";

describe("calls nested in chains and cycles between processes that all cut at once", () => {
  const system = withSystem({ branches: [{ name: "branch-a" }, { name: "branch-b" }, { name: "branch-c" }] });

  it("are captured exactly, one after the other and overlapping, and no cut waits for another process", async () => {
    const { rest, branches } = system();
    await until("chains and cycles", async () => {
      const states = await Promise.all(branches.map((branch) => branch.state()));
      const nested = states.every(({ counters }) => counters.chainsForwarded > 0 && counters.cyclesClosed > 0);
      return nested ? "seen" : undefined;
    });
    let callsInProcess = 0;
    for (let round = 0; round < 6; round += 1) {
      const first = await rest.create({ attempts: 1 });
      const second = await rest.create({ attempts: 1 });
      for (const { id } of [first, second]) {
        const snapshot = await rest.ended(id);
        assert.equal(snapshot.phase, "Completed", `${snapshot.reason}: ${snapshot.message}`);
        const { judgement } = await audited(system(), snapshot);
        assert.equal(judgement, "conserved", JSON.stringify(snapshot.reasons));
        for (const process of snapshot.processes) callsInProcess += process.callsInProcess;
      }
    }
    assert.ok(callsInProcess > 0, "handlers that wait for an answer stand in the picture");
  });

  it("are captured exactly when one process begins and the markers bring it to the others", async () => {
    const { rest } = system();
    const snapshot = await rest.take({ attempts: 1, initiator: "bank/branch-b" });
    assert.equal(snapshot.phase, "Completed", `${snapshot.reason}: ${snapshot.message}`);
    assert.equal((await audited(system(), snapshot)).judgement, "conserved");
  });

  it("go on unharmed", async () => {
    assert.equal((await takeAudited(system())).judgement, "conserved");
    await assertHarmless(system());
  });
});
