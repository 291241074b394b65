import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { gather } from "./scenario/global-state.ts";
import { play } from "./scenario/language.ts";
import { assertConsistent } from "./scenario/observer.ts";
import { render } from "./scenario/render.ts";

// Each file is a scenario, a line of dashes, and what must come of it. The sentences stand in scenario/language.ts.
// `UPDATE_GOLDEN=1 node --test 'packages/protocol/test/golden.test.ts'` writes what is below the dashes anew.

const folder = fileURLToPath(new URL("golden/", import.meta.url));
const separator = "\n----\n";
const mode = process.env.UPDATE_GOLDEN === "1" ? "update" : "compare";

describe("golden scenarios", () => {
  const files = readdirSync(folder).filter((file) => file.endsWith(".txt"));
  assert(files.length > 0, `${folder} has no scenarios`);

  for (const file of files) {
    const text = readFileSync(`${folder}${file}`, "utf8");
    const [scenario = "", expected = ""] = text.split(separator);
    // A scenario's first comment says what it shows.
    const title = /^# (.+)$/m.exec(scenario)?.[1] ?? file;

    it(`${file}: ${title}`, () => {
      assert.match(scenario, /^# .+\n# (Rule|Fault): /, "a scenario begins with what it shows, and its rule or fault");
      const played = play(scenario);
      for (const key of played.snapshots) {
        const state = gather(played.world, key);
        if (state.outcome === "complete") assertConsistent(played.world, state);
      }
      const actual = render(played);
      if (mode === "update") writeFileSync(`${folder}${file}`, `${scenario.trimEnd()}${separator}${actual}`);
      else assert.equal(actual, expected, `${file} came out differently; see CONTRIBUTING.md on golden files`);
    });
  }
});

describe("the scenario language", () => {
  it("names the line that it does not understand", () => {
    assert.throws(() => play("processes A B\n\nA waves at B"), /line 3, "A waves at B": no sentence/);
  });

  it("does not let an application receive what waits behind a marker", () => {
    const scenario = ["processes A B", "link A B", "start s1 at A", "A is captured for s1", "A sends m1 to B"];
    scenario.push("everything arrives", "B receives m1");
    assert.throws(() => play(scenario.join("\n")), /m1 waits behind a marker/);
  });
});
