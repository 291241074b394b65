import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertHarmless, exactProcesses, takeAudited, withSystem } from "./support.ts";

const snapshotsMax = 12;

describe("programs that know nothing of snapshots", () => {
  const system = withSystem({
    branches: [
      { name: "branch-a", environment: { BRANCH_PAUSE_MS: "20", BRANCH_CONCURRENCY: "2" } },
      { name: "branch-gentle", kind: "opaque" },
    ],
  });

  it("prove themselves in a quiet moment, or the snapshot is flagged and names them", async () => {
    const seen = new Set<string>();
    for (let count = 0; count < snapshotsMax && !seen.has("exact"); count += 1) {
      const taken = await takeAudited(system());
      assert.ok(exactProcesses(taken).includes("bank/branch-a"));
      const opaque = taken.snapshot.processes.find(({ id }) => id === "bank/branch-gentle");
      assert.equal(opaque?.captureSource, "http");
      seen.add(opaque?.exact ? "exact" : "flagged");
      if (taken.judgement === "flagged") {
        assert.deepEqual(
          [...new Set(taken.snapshot.reasons.map(({ processId }) => processId))],
          ["bank/branch-gentle"],
        );
      }
    }
    assert.ok(seen.has("exact"), `none of ${snapshotsMax} snapshots found a quiet moment`);
  });

  it("go on unharmed", async () => {
    await assertHarmless(system());
  });
});

describe("a program that knows nothing of snapshots and has no quiet moment", () => {
  const busy = { BRANCH_PAUSE_MS: "0", BRANCH_CONCURRENCY: "8" };
  const system = withSystem({
    branches: [{ name: "branch-a" }, { name: "branch-busy", kind: "opaque", environment: busy }],
  });

  it("never makes a snapshot wrong and unflagged", async () => {
    for (let count = 0; count < 5; count += 1) await takeAudited(system());
  });

  it("goes on unharmed", async () => {
    await assertHarmless(system());
  });
});
