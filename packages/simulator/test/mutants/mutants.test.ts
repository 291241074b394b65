import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { build, patched, sourceOf } from "./build.ts";
import { mutants } from "./list.ts";

const huntMsMax = 100_000;

describe("mutants", () => {
  it("are at least forty, each of its own name, and fit the code as it is", () => {
    assert.ok(mutants.length >= 40);
    assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length);
    for (const mutant of mutants) assert.notEqual(patched(sourceOf(mutant), mutant), sourceOf(mutant));
  });

  // All of them are hunted by `npm run mutants`; these show that the hunt works.
  for (const name of ["first-channel-not-closed", "duplicate-passes", "undelivered-forgotten"]) {
    it(`${name} is killed by the checkers alone`, () => {
      const mutant = mutants.find((one) => one.name === name);
      assert.ok(mutant);
      const folder = build(mutant, "unguarded");
      try {
        const script = join(folder, "simulator/hunt.ts");
        const output = execFileSync(process.execPath, ["--conditions=cutline-source", script, "300"], {
          encoding: "utf8",
          timeout: huntMsMax,
        });
        const { seed, checkers } = JSON.parse(output) as { seed?: number; checkers?: string[] };
        assert.ok(seed !== undefined, "it survives");
        assert.ok(checkers?.some((checker) => checker !== "assertion"));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});
