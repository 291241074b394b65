import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));

function sim(...args: string[]) {
  return spawnSync(process.execPath, ["--conditions=cutline-source", program, ...args], {
    encoding: "utf8",
    timeout: 100_000,
  });
}

describe("the simulator's program", () => {
  it("runs schedules on several workers and says what they counted", () => {
    const { status, stdout, stderr } = sim("--seeds", "30", "--from", "7", "--jobs", "3");
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /schedules in .* with 3 jobs: \d+ a second/);
    assert.match(stdout, /snapshots: .*Completed \d+/);
    assert.match(stdout, /faults: .*connectionLost \d+/);
    assert.match(stdout, /seeds 7 to 36 and \d+ that failed before: 0 violations/);
  });

  it("counts the same whatever the number of workers is", () => {
    const counts = (jobs: string) => sim("--seeds", "20", "--jobs", jobs).stdout.match(/^(snapshots|faults): .*$/gm);
    assert.deepEqual(counts("1"), counts("4"));
  });

  it("prints one schedule for reading", () => {
    const { status, stdout } = sim("--replay", "3");
    assert.equal(status, 0);
    assert.match(stdout, /^commit [0-9a-f]{10}( with uncommitted changes)?\nseed 3\n|^commit unknown/);
    assert.match(stdout, /ms {2}over: quiet/);
    assert.match(stdout, /no violation\n$/);
  });

  it("takes seeds that were not run before on request, and says which before it begins", () => {
    const first = sim("--seeds", "5", "--from", "random", "--jobs", "1").stdout;
    const second = sim("--seeds", "5", "--from", "random", "--jobs", "1").stdout;
    const from = (stdout: string) => /^commit .+, seeds (\d+) to \d+\n/.exec(stdout)?.[1];
    assert.ok(from(first) !== undefined && from(second) !== undefined, first + second);
    assert.notEqual(from(first), from(second));
  });

  for (const [args, message] of [
    [["--seeds", "many"], /--seeds must be a whole number from 0 on, not many/],
    [["--from", "4294967290", "--seeds", "10"], /end beyond 2\^32/],
    [["--jobs", "0"], /--jobs must be at least 1/],
  ] as const) {
    it(`says what is wrong with ${args.join(" ")}`, () => {
      const { status, stderr } = sim(...args);
      assert.equal(status, 2);
      assert.match(stderr, message);
    });
  }
});
