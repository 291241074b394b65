import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runChaos } from "./src/chaos.ts";
import { createRandom } from "./src/random.ts";
import { table } from "./src/result.ts";

describe("links that break under snapshots", () => {
  it("lose, double and re-order nothing, no snapshot is wrong, and a restart ends its calls only", async () => {
    const seed = Math.floor(createRandom(Date.now())() * 2 ** 31);
    const lines: string[] = [];
    const result = await runChaos(
      {
        messages: 8_000,
        cuts: 8,
        store: "embedded",
        places: 3,
        lanes: 4,
        restarts: 1,
        silence: "without",
        msMax: 120_000,
        seed,
      },
      (line) => lines.push(line),
    );
    const told = `seed ${seed}\n${lines.join("\n")}\n${table(result)}`;
    assert.deepEqual(result.problems, [], told);
    assert.ok(result.messages >= 8_000, told);
    assert.deepEqual([result.lost, result.doubled, result.reordered, result.damaged, result.wrong], [0, 0, 0, 0, 0]);
    assert.ok(result.resumes >= 3, `too few links were resumed for this to show anything\n${told}`);
    assert.ok(result.pictures.exact >= 2 && result.pictures.inFlight > 0, told);
    assert.ok(result.endedByRestarts > 0, `no call was open when its callee was killed\n${told}`);
  });
});
