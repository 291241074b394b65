import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertHarmless, audited, exactProcesses, takeAudited, withSystem } from "./support.ts";

const sdkBranches = ["bank/branch-a", "bank/branch-b", "bank/branch-c"];

for (const store of ["embedded", "redis"] as const) {
  describe(`a bank under full load, with the ${store} store`, () => {
    const system = withSystem({
      store,
      branches: [
        { name: "branch-a" },
        { name: "branch-b" },
        { name: "branch-c" },
        { name: "branch-d", kind: "opaque" },
      ],
    });

    it("conserves the money in every snapshot that calls itself exact", async () => {
      let inFlightMessages = 0;
      for (let count = 0; count < 5; count += 1) {
        const taken = await takeAudited(system());
        const exact = exactProcesses(taken);
        assert.deepEqual(
          exact.filter((id) => sdkBranches.includes(id)),
          sdkBranches,
        );
        assert.equal(taken.snapshot.exact, exact.length === 4);
        assert.equal(taken.snapshot.attempt, 1);
        inFlightMessages += taken.snapshot.progress?.inFlightMessages ?? 0;
      }
      assert.ok(inFlightMessages > 0, "under full load something is always on its way");
    });

    it("keeps two overlapping snapshots apart", async () => {
      const { rest } = system();
      for (let round = 0; round < 3; round += 1) {
        const started = await Promise.all([rest.create({ attempts: 1 }), rest.create({ attempts: 1 })]);
        const [first, second] = await Promise.all([rest.ended(started[0].id), rest.ended(started[1].id)]);
        assert.notEqual(first.id, second.id);
        assert.ok(first.createdAt <= second.endedAt && second.createdAt <= first.endedAt, "they did not overlap");
        for (const snapshot of [first, second]) {
          assert.equal(snapshot.phase, "Completed", `${snapshot.reason}: ${snapshot.message}`);
          await audited(system(), snapshot);
        }
      }
    });

    it("lists, serves and deletes what it has taken", async () => {
      const { rest } = system();
      const taken = await rest.take({ labels: { keep: "no" } });
      assert.deepEqual(
        (await rest.list("?label=keep%3Dno")).map(({ id }) => id),
        [taken.id],
      );
      await rest.remove(taken.id);
      assert.equal((await rest.raw("GET", `/v1/snapshots/${taken.id}`)).status, 404);
    });

    it("has changed nothing for the branches", async () => {
      await assertHarmless(system());
    });
  });
}
