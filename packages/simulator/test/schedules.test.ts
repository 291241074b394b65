import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { generate } from "../src/plan/generate.ts";
import { shrink } from "../src/plan/shrink.ts";
import { run } from "../src/run.ts";
import { add, tallyOf } from "../src/tally.ts";

const seedsFile = fileURLToPath(new URL("../seeds.txt", import.meta.url));
const known = [...readFileSync(seedsFile, "utf8").matchAll(/^(\d+)\s*#?(.*)$/gm)];

describe("schedules that failed once", () => {
  for (const [, seed = "", why = ""] of known) {
    it(`${seed}:${why}`, () => {
      assert.deepEqual(run(generate(Number(seed))).verdicts, []);
    });
  }
});

describe("new schedules", () => {
  it("have no violation, and between them all kinds of faults and ends", () => {
    const total = tallyOf();
    for (let seed = 1; seed <= 200; seed += 1) {
      const result = run(generate(seed));
      assert.deepEqual(result.verdicts, [], `seed ${seed}`);
      add(total, tallyOf(result));
    }
    for (const phase of ["Completed", "Failed", "Aborted"]) assert.ok((total.snapshots[phase] ?? 0) > 5, phase);
    for (const fault of [
      "connectionLost",
      "laneDown",
      "laneDirty",
      "gap",
      "crash",
      "leave",
      "controlLost",
      "crashCoordinator",
      "pauseCoordinator",
      "clock",
      "storeFails",
      "storeTimesOut",
      "storeLate",
      "captureFailed",
    ]) {
      assert.ok((total.faults[fault] ?? 0) > 0, `no ${fault}`);
    }
  });
});

describe("shrinking", () => {
  it("leaves of a plan what its failure needs, and no more", () => {
    const plan = generate(5);
    const needs = (of: typeof plan) =>
      of.actions.some(({ type }) => type === "call") && of.actions.some(({ type }) => type === "snapshot");
    const smallest = shrink(plan, needs);
    assert.ok(needs(smallest));
    assert.equal(smallest.actions.length, 2);
    assert.ok(smallest.processes.length <= 2);
  });
});
