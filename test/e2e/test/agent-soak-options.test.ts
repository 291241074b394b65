import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseAgentSoakOptions } from "../src/agent-soak/options.ts";

describe("options of the soak of agents", () => {
  it("lasts five minutes unless told otherwise", () => {
    const options = { durationMs: 300_000, intervalMs: 10_000, warmUpMs: 30_000, snapshotEveryMs: 2_000 };
    assert.deepEqual(parseAgentSoakOptions([]), { outcome: "options", options });
    assert.deepEqual(parseAgentSoakOptions(["--minutes", "10"]), {
      outcome: "options",
      options: { ...options, durationMs: 600_000 },
    });
  });

  for (const [args, message] of [
    [["--minuts", "5"], /minuts/],
    [["--minutes", "many"], /every option is a number/],
    [["--minutes", "1", "--interval-seconds", "60"], /intervals must fit/],
    [["--warm-up-seconds", "-1"], /argument|number/],
  ] as const) {
    it(`refuses ${args.join(" ")}`, () => {
      const parsed = parseAgentSoakOptions(args);
      assert.match(parsed.outcome === "invalid" ? parsed.message : "", message);
    });
  }

  it("says what there is when asked", () => {
    assert.deepEqual(parseAgentSoakOptions(["--help"]), { outcome: "help" });
  });
});
