import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { play } from "./scenario/language.ts";

// As golden.test.ts one folder up, for coordinators: a scenario, a line of dashes, and what came of each sentence.
// `UPDATE_GOLDEN=1 node --test 'packages/protocol/test/lifecycle/golden.test.ts'` writes what is below the dashes anew.

const folder = fileURLToPath(new URL("golden/", import.meta.url));
const separator = "\n----\n";
const mode = process.env.UPDATE_GOLDEN === "1" ? "update" : "compare";

describe("golden scenarios of coordinators", () => {
  const files = readdirSync(folder).filter((file) => file.endsWith(".txt"));
  assert(files.length > 0, `${folder} has no scenarios`);

  for (const file of files) {
    const [scenario = "", expected = ""] = readFileSync(`${folder}${file}`, "utf8").split(separator);
    const title = /^# (.+)$/m.exec(scenario)?.[1] ?? file;

    it(`${file}: ${title}`, () => {
      assert.match(scenario, /^# .+\n# (Rule|Fault): /, "a scenario begins with what it shows, and its rule or fault");
      const actual = play(scenario);
      if (mode === "update") writeFileSync(`${folder}${file}`, `${scenario.trimEnd()}${separator}${actual}`);
      else assert.equal(actual, expected, `${file} came out differently; see CONTRIBUTING.md on golden files`);
    });
  }
});

describe("the language of coordinators' scenarios", () => {
  it("names the line that it does not understand", () => {
    assert.throws(() => play("1 attempt, 30000 ms in all\nc1 waves"), /line 2, "c1 waves": no sentence/);
  });

  it("does not let a published snapshot lose a part", () => {
    const lines = ["c1 leads and begins with A B", "everything comes to c1", "store answers for c1"];
    lines.push("part local A of attempt 1 is lost");
    assert.throws(() => play(lines.join("\n")), /I5: a Completed snapshot has all its parts/);
  });
});
