import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { describe, it } from "node:test";
import { Snapshot } from "@cutline/proto/snapshot";
import { judge } from "../src/soak/judge.ts";
import { overlapShare, quantilesOf } from "../src/soak/numbers.ts";
import { parseOptions, type SoakOptions } from "../src/soak/options.ts";
import { runSoak } from "../src/soak/soak.ts";

function optionsOf(...args: string[]): SoakOptions {
  const parsed = parseOptions(args);
  assert.equal(parsed.outcome, "options", JSON.stringify(parsed));
  return parsed.outcome === "options" ? parsed.options : assert.fail();
}

describe("the soak", () => {
  it("takes snapshots one after another and overlapping, and finds nothing wrong", async (test) => {
    const lines: string[] = [];
    const found = await runSoak(optionsOf("--snapshots", "40"), (line) => lines.push(line), test.signal);
    const text = lines.join("\n");
    assert.equal(found.outcome, "right", text);
    const { counts, ended, durationsMs, pausesUs, sdkFlagged } = found.tally;
    assert.equal(ended, 40, text);
    assert.equal(counts.conserved + counts.flagged, 40, text);
    assert.equal(sdkFlagged, 0, text);
    assert.deepEqual([durationsMs.first.length, durationsMs.second.length], [20, 20]);
    assert.deepEqual([pausesUs.sdk.length, pausesUs.opaque.length], [120, 40]);
    for (const told of [/^exact +\d+/m, /^violations +0$/m, /^pause, SDK branches/m, /payments\/s/]) {
      assert.match(text, told);
    }
    assert.equal(found.folder, undefined, "nothing was wrong, so nothing is kept");
  });

  it("finds a snapshot that failed, says why, and keeps the logs", async () => {
    const lines: string[] = [];
    const neverEnds = new AbortController().signal;
    // Nothing can be stored: every upload is refused.
    const environment = { CUTLINE_SNAPSHOT_BYTES_MAX: "1" };
    const options = optionsOf("--snapshots", "2");
    const found = await runSoak(options, (line) => lines.push(line), neverEnds, {
      coordinatorEnvironment: environment,
    });
    assert.equal(found.outcome, "wrong");
    assert.equal(found.tally.counts.failed, 2);
    assert.match(lines.join("\n"), /^failed +2, 2 \w+$/m);
    assert.ok(found.folder);
    await rm(found.folder, { recursive: true });
  });
});

describe("the soak's judgement", () => {
  const processIds = ["bank/branch-a", "bank/branch-b"];
  const snapshotOf = (exact: boolean) =>
    Snapshot.fromPartial({
      id: "one",
      phase: "Completed",
      exact,
      reasons: exact ? [] : [{ code: "CallsInProcess", message: "one call", processId: "bank/branch-b" }],
      processes: processIds.map((id) => ({ id, exact })),
      certificate: { verdict: "valid" },
    });
  const stateOf = (...balances: number[]) =>
    Buffer.from(
      JSON.stringify({
        processes: balances.map((balanceCents, at) => ({
          id: processIds[at],
          encoding: "utf8",
          data: JSON.stringify({ balanceCents, unresolvedCents: 0 }),
        })),
        channels: [],
      }),
    );
  const options = { totalCents: 300, processIds, verification: "skip" } as const;

  it("is conserved when every cent is there", async () => {
    assert.deepEqual(await judge(snapshotOf(true), stateOf(100, 200), options), { outcome: "conserved" });
  });

  it("is violated when it calls itself exact and one cent is missing, or one too many", async () => {
    for (const balance of [199, 201]) {
      const verdict = await judge(snapshotOf(true), stateOf(100, balance), options);
      assert.equal(verdict.outcome, "violated");
      assert.match(verdict.outcome === "violated" ? verdict.problems.join() : "", new RegExp(`${100 + balance} cents`));
    }
  });

  it("is flagged when it says so itself, whatever the total", async () => {
    assert.deepEqual(await judge(snapshotOf(false), stateOf(100, 200), options), {
      outcome: "flagged",
      total: "right",
    });
    assert.deepEqual(await judge(snapshotOf(false), stateOf(100, 1), options), { outcome: "flagged", total: "wrong" });
  });

  it("is violated when it is not exact and gives no reason, or when a process is missing", async () => {
    const silent = { ...snapshotOf(false), reasons: [] };
    assert.equal((await judge(silent, stateOf(100, 200), options)).outcome, "violated");
    const short = snapshotOf(true);
    const alone = { ...short, processes: short.processes.slice(1) };
    assert.equal((await judge(alone, stateOf(300), options)).outcome, "violated");
  });

  it("is violated when the offline verifier says so", async () => {
    const document = { format: "cutline.v1.GlobalState", snapshot: Snapshot.toJSON(snapshotOf(true)) };
    const state = Buffer.from(JSON.stringify({ ...document, ...JSON.parse(stateOf(100, 200).toString()) }));
    const verdict = await judge(snapshotOf(true), state, { ...options, verification: "verify" });
    assert.match(verdict.outcome === "violated" ? verdict.problems.join() : verdict.outcome, /verify: /);
  });

  it("is failed when it did not complete", async () => {
    const failed = { ...snapshotOf(true), phase: "Failed" };
    assert.deepEqual(await judge(failed, undefined, options), { outcome: "failed" });
  });
});

describe("the soak's options and figures", () => {
  it("have defaults, and are checked with a message that names the option", () => {
    assert.deepEqual(
      [optionsOf().snapshots, optionsOf().store, optionsOf().durationMsMax],
      [1_000, "embedded", undefined],
    );
    assert.equal(optionsOf("--duration-max-minutes", "0.5").durationMsMax, 30_000);
    assert.deepEqual(optionsOf("--redis-url", "redis://127.0.0.1:1").store, { redisUrl: "redis://127.0.0.1:1" });
    const wrong: [string[], RegExp][] = [
      [["--snapshots", "0"], /--snapshots is "0".*1 to/],
      [["--snapshots", "1.5"], /whole number/],
      [["--snapshots", ""], /--snapshots is ""/],
      [["--overlap", "1"], /--overlap is "1"; give a whole number from 2 to/],
      [["--store", "disk"], /embedded or redis/],
      [["--redis-url", "http://x"], /redis:\/\/HOST:PORT/],
      [["--store", "redis", "--redis-url", "redis://x"], /exclude/],
      [["--sanpshots", "1"], /sanpshots/],
      [["1000"], /1000/],
    ];
    for (const [args, message] of wrong) {
      const parsed = parseOptions(args);
      assert.match(parsed.outcome === "invalid" ? parsed.message : parsed.outcome, message);
    }
    assert.equal(parseOptions(["-h"]).outcome, "help");
  });

  it("are quantiles by nearest rank, and the share of time in which enough snapshots overlap", () => {
    assert.deepEqual(quantilesOf([]), { count: 0, p50: 0, p99: 0, max: 0 });
    const hundred = Array.from({ length: 100 }, (_, at) => 100 - at);
    assert.deepEqual(quantilesOf(hundred), { count: 100, p50: 50, p99: 99, max: 100 });
    const spans = [
      { fromMs: 0, toMs: 60 },
      { fromMs: 20, toMs: 100 },
      { fromMs: 70, toMs: 90 },
    ];
    assert.equal(overlapShare(spans, { fromMs: 0, toMs: 100 }, 2), 0.6);
    assert.equal(overlapShare(spans, { fromMs: 0, toMs: 100 }, 3), 0);
    assert.equal(overlapShare(spans, { fromMs: 30, toMs: 50 }, 2), 1);
  });
});
