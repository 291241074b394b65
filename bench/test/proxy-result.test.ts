import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { estimateOf, verdictOf } from "../src/proxy/interval.ts";
import type { Measurement } from "../src/proxy/measure.ts";
import type { WayName } from "../src/proxy/options.ts";
import { ratiosOf } from "../src/proxy/ratios.ts";
import { busyLines } from "../src/proxy/report.ts";
import { withBlock } from "../src/proxy/save.ts";
import { summarizeWays } from "../src/proxy/summary.ts";
import { tableLines } from "../src/proxy/table.ts";

function measured(way: WayName, round: number, hopUs: number): Measurement {
  return {
    ...{ case: "unary-100@16", way, round, calls: 1_000, failures: 0, elapsedMs: 100, hopsMib: 30, coreShare: 1 },
    ...{ callsPerSecond: 10_000, p50Us: 10 * hopUs, p99Us: 100 },
    cpuUs: { load: Number.NaN, hop1: hopUs, hop2: 2 * hopUs, echo: 1 },
  };
}

const block = { name: "proxies", title: "Proxies", command: "npm run it" };

describe("a result of bench:proxy", () => {
  it("says when other programs had the core, too", () => {
    assert.deepEqual(busyLines([0.95, 1, 1.01]), []);
    assert.match(busyLines([0.95, 0.5]).join("\n"), /machine was busy: in 1 of 2 rows/);
  });

  it("compares ways within a round, because the machine's pace changes between rounds", () => {
    // Twice as slow in the second round; half the CPU of haproxy in two rounds of three.
    const measurements = [
      ...[measured("haproxy", 1, 10), measured("agents", 1, 5), measured("nginx", 1, 20)],
      ...[measured("haproxy", 2, 20), measured("agents", 2, 10)],
      ...[measured("haproxy", 3, 10), measured("agents", 3, 20)],
    ];
    const ratios = ratiosOf(measurements);
    assert.deepEqual(
      ratios.map(({ peer, cpu, p50, cpuMax, p50Max }) => ({ peer, cpu, p50, cpuMax, p50Max })),
      [
        { peer: "haproxy", cpu: 0.5, p50: 0.5, cpuMax: 0.8, p50Max: 1 },
        { peer: "nginx", cpu: 0.25, p50: 0.25, cpuMax: null, p50Max: null },
      ],
    );
  });

  it("is made of medians, and of nothing where nothing is known", () => {
    const measurements = [1, 2, 3].map((round) => measured("agents", round, round));
    const one = { name: "unary-100@16", kind: "unary", messageBytes: 100, underWay: 16 } as const;
    const [row] = summarizeWays(measurements, [one], ["agents"]);
    assert.deepEqual(row?.cpuUs, { load: null, hop1: 2, hop2: 4, echo: 1 });
    assert.deepEqual(row?.hopsUs, { median: 6, min: 3, max: 9 });
  });

  it("is a table in Markdown", () => {
    assert.deepEqual(tableLines(["case", "us"], [["a", "1.5"]]), [
      "| case |  us |",
      "| ---- | --: |",
      "| a    | 1.5 |",
    ]);
  });

  it("tells a ratio from noise, and does not let a few disturbed pairs decide", () => {
    // Of the 55 means of two, from the 8th smallest to the 8th largest.
    const ratios = [0.99, 1.01, 0.98, 1.02, 1, 0.995, 1.005, 0.985, 1.015, 1];
    const { ratio, from, to } = estimateOf(ratios);
    assert.ok(Math.abs(ratio - 1) < 1e-3 && from > 0.985 && from < 0.995 && to > 1.005 && to < 1.015);
    const disturbed = estimateOf([...ratios.slice(0, 9), 0.3]);
    // Their mean is 0.93.
    assert.ok(Math.abs(disturbed.ratio - 1) < 0.01, String(disturbed.ratio));
    assert.equal(verdictOf(estimateOf(ratios), 0.98), "met");
    assert.equal(verdictOf(estimateOf(ratios), 1.02), "missed");
    assert.equal(verdictOf(estimateOf(ratios), 1), "open");
    assert.equal(verdictOf(estimateOf([1.1, 1.1, 1.1]), 0.98), "open");
    assert.deepEqual(estimateOf([0.9]), { pairs: 1, ratio: 0.9, from: 0.9, to: 0.9 });
  });

  it("takes the place of the last one and leaves the rest of the page alone", () => {
    const first = withBlock("# Page\n\nBefore.\n", block, ["one", "two"]);
    assert.match(
      first,
      /^# Page\n\nBefore\.\n\n## Proxies\n\n`npm run it`\n\n<!-- begin proxies -->\n\none\ntwo\n\n<!-- end proxies -->\n$/,
    );
    const edited = `${first.replace("## Proxies", "## Renamed")}\nAfter.\n`;
    const other = withBlock(edited, { ...block, name: "proxies-tls", title: "TLS" }, ["three"]);
    const second = withBlock(other, block, ["four"]);
    assert.equal(second, other.replace("one\ntwo", "four"));
    assert.match(second, /## Renamed[\s\S]*\nAfter\.\n[\s\S]*## TLS/);
  });
});
