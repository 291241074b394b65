import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { BenchReport } from "../src/bench.ts";
import { parseOptions } from "../src/options.ts";
import { reportLines } from "../src/report.ts";
import { medianOf } from "../src/summary.ts";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const nodeArgs = ["--conditions=cutline-source", main, ...args];
    execFile(process.execPath, nodeArgs, { maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1, stdout, stderr });
    });
  });
}

describe("the bench", () => {
  it("measures direct calls and agents side by side, and says where the time goes", async () => {
    const { code, stdout, stderr } = await run("--quick", "--concurrency", "1,4", "--duration-ms", "400", "-o", "json");
    assert.equal(code, 0, stderr);
    const report = JSON.parse(stdout) as BenchReport;
    const { machine, settings, rows } = report;
    assert.equal(machine.node, process.version);
    assert.ok(machine.cores > 0 && machine.cpu !== "" && machine.commit !== "");
    assert.deepEqual([settings.repetitions, settings.concurrencies, settings.durationMs], [1, [1, 4], 400]);
    assert.deepEqual(
      rows.map(({ concurrency, arm }) => `${concurrency} ${arm}`),
      [1, 4].flatMap((open) =>
        ["direct", "agents", "agents, SDK", "agents, SDK, snapshot/s"].map((arm) => `${open} ${arm}`),
      ),
    );
    for (const { arm, callsPerSecond, p50Us, p99Us, cpuUsPerCall, failures, snapshots } of rows) {
      assert.ok(
        callsPerSecond > 0 && p50Us > 0 && p99Us >= p50Us,
        JSON.stringify({ arm, callsPerSecond, p50Us, p99Us }),
      );
      assert.equal(failures, 0);
      const isDirect = arm === "direct";
      assert.deepEqual([cpuUsPerCall.agentA === null, cpuUsPerCall.agentB === null], [isDirect, isDirect]);
      const { client, agentA, agentB, server, all } = cpuUsPerCall;
      const sum = [client, agentA, agentB, server].reduce<number>((total, one) => total + (one ?? 0), 0);
      assert.ok(all !== null && all > 0 && Math.abs(all - sum) < 1e-6, JSON.stringify(cpuUsPerCall));
      assert.equal(snapshots !== null, arm.endsWith("snapshot/s"));
      if (snapshots === null) continue;
      assert.ok(snapshots.completed > 0, "a snapshot was taken meanwhile");
      assert.deepEqual([snapshots.failed, snapshots.exact], [0, snapshots.completed]);
      assert.ok((snapshots.pauseP50Us ?? 0) > 0 && (snapshots.pauseMaxUs ?? 0) >= (snapshots.pauseP50Us ?? 0));
    }
    const text = reportLines(report).join("\n");
    assert.match(text, /^machine .* cores/);
    assert.match(text, /^ +4 {2}agents, SDK, snapshot\/s +\d+ .*, exact 1$/m);
  });

  it("says what is wrong with its options and ends with 2", async () => {
    const wrong: [string[], RegExp][] = [
      [["--concurrency", "1,many"], /--concurrency is "1,many"/],
      [["--duration-ms", "1"], /--duration-ms must be.*50/],
      [["--repetitions", "0"], /--repetitions must be/],
      [["-o", "xml"], /table or json/],
      [["--fast"], /fast/],
    ];
    for (const [args, message] of wrong) {
      const parsed = parseOptions(args);
      assert.match(parsed.outcome === "invalid" ? parsed.message : parsed.outcome, message);
    }
    assert.equal(parseOptions(["--help"]).outcome, "help");
    const { code, stderr } = await run("--fast");
    assert.equal(code, 2);
    assert.match(stderr, /fast.*usage: npm run bench/s);
  });

  it("shows medians", () => {
    assert.equal(medianOf([3, 1, 2]), 2);
    assert.equal(medianOf([4, 1, 2, 3]), 2.5);
  });
});
