import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until } from "../src/index.ts";
import { assertHarmless, audited, halfway, takeAudited, withSystem } from "./support.ts";

for (const store of ["embedded", "redis"] as const) {
  describe(`SIGKILL of the coordinator, with the ${store} store`, () => {
    const system = withSystem({
      store,
      branches: [{ name: "branch-a" }, { name: "branch-b" }, { name: "branch-c" }],
      coordinatorEnvironment: { CUTLINE_LEASE_MS: "1000" },
    });

    it("loses no completed snapshot, ends the running ones, and does not touch the traffic", async () => {
      const { rest, coordinator } = system();
      const before = await takeAudited(system());
      const stateBefore = await rest.state(before.snapshot.id);

      const frozen = system().branch("branch-b").application;
      frozen.freeze();
      const [last, again] = [await rest.create({ attempts: 1 }), await rest.create({ attempts: 3 })];
      for (const { id } of [last, again]) await halfway(system(), id);
      await coordinator.kill();
      frozen.thaw();
      const { counters } = await system().branch("branch-a").state();
      await until("money that moves without a coordinator", async () => {
        const { transfersReceived, settlementsReceived } = (await system().branch("branch-a").state()).counters;
        const more = transfersReceived > counters.transfersReceived;
        return more && settlementsReceived > counters.settlementsReceived ? "moves" : undefined;
      });

      await coordinator.restart();
      await system().ready();
      const [lastEnded, againEnded] = [await rest.ended(last.id), await rest.ended(again.id)];
      assert.deepEqual([lastEnded.phase, lastEnded.reason], ["Failed", "CoordinatorRestarted"], lastEnded.message);
      assert.equal(againEnded.phase, "Completed", `${againEnded.reason}: ${againEnded.message}`);
      await audited(system(), againEnded);

      assert.deepEqual(await rest.get(before.snapshot.id), before.snapshot);
      assert.ok(stateBefore.equals(await rest.state(before.snapshot.id)), "the state is not what it was");
      await takeAudited(system());
    });

    it("has changed nothing for the branches", async () => {
      await assertHarmless(system());
    });
  });
}
