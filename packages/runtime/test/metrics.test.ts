import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CutlineError, createMetrics } from "../src/index.ts";

async function linesOf(metrics: ReturnType<typeof createMetrics>, name: string): Promise<string[]> {
  const text = await metrics.render();
  return text.split("\n").filter((line) => line.startsWith(name));
}

describe("createMetrics", () => {
  it("renders counters, gauges and histograms in the Prometheus format", async () => {
    const metrics = createMetrics();
    const frames = metrics.counter("cutline_frames_total", { help: "Frames.", labels: ["direction"] });
    frames.add({ direction: "in" });
    frames.add({ direction: "in" }, 2);
    metrics.gauge("cutline_links", { help: "Links." }).set({}, 7);
    metrics.histogram("cutline_pause_seconds", { help: "Pauses.", buckets: [0.1, 1] }).observe({}, 0.5);
    const text = await metrics.render();
    assert.match(metrics.contentType, /^text\/plain; version=0\.0\.4/);
    assert.match(text, /^# TYPE cutline_frames_total counter\ncutline_frames_total\{direction="in"\} 3$/m);
    assert.match(text, /^# TYPE cutline_links gauge\ncutline_links 7$/m);
    assert.match(text, /^cutline_pause_seconds_bucket\{le="0\.1"\} 0\ncutline_pause_seconds_bucket\{le="1"\} 1$/m);
    assert.match(text, /^cutline_pause_seconds_count 1$/m);
  });

  it("keeps a bounded number of label combinations and the right sum", async () => {
    const metrics = createMetrics({ labelSetsMax: 2 });
    const calls = metrics.counter("cutline_calls_total", { help: "Calls.", labels: ["peer", "status"] });
    for (const peer of ["a", "b", "c", "d", "a"]) {
      calls.add({ peer, status: "OK" });
    }
    assert.deepEqual(await linesOf(metrics, "cutline_calls_total"), [
      'cutline_calls_total{peer="a",status="OK"} 2',
      'cutline_calls_total{peer="b",status="OK"} 1',
      'cutline_calls_total{peer="other",status="other"} 2',
    ]);
    assert.deepEqual(await linesOf(metrics, "cutline_metric_label_overflows_total"), [
      'cutline_metric_label_overflows_total{metric="cutline_calls_total"} 2',
    ]);
  });

  it("bounds label values and escapes them", async () => {
    const metrics = createMetrics();
    const calls = metrics.counter("cutline_calls_total", { help: "Calls.", labels: ["peer"] });
    calls.add({ peer: `"\n${"x".repeat(500)}` });
    assert.deepEqual(await linesOf(metrics, "cutline_calls_total"), [
      `cutline_calls_total{peer="\\"\\n${"x".repeat(198)}"} 1`,
    ]);
  });

  it("reads a gauge at every scrape and forgets what is gone", async () => {
    const metrics = createMetrics({ labelSetsMax: 2 });
    let links = ["a", "b"];
    const read = () => links.map((peer) => ({ labels: { peer }, value: 1 }));
    metrics.gauge("cutline_link_up", { help: "Links.", labels: ["peer"], read });
    assert.deepEqual(await linesOf(metrics, "cutline_link_up"), [
      'cutline_link_up{peer="a"} 1',
      'cutline_link_up{peer="b"} 1',
    ]);
    links = ["c"];
    assert.deepEqual(await linesOf(metrics, "cutline_link_up"), ['cutline_link_up{peer="c"} 1']);
  });

  it("tells of the Node process when asked", async () => {
    assert.deepEqual(await linesOf(createMetrics(), "nodejs_"), []);
    assert.notDeepEqual(await linesOf(createMetrics({ nodeMetrics: true }), "nodejs_"), []);
  });

  it("refuses names against the convention", () => {
    const metrics = createMetrics();
    const bad = (error: unknown) => error instanceof CutlineError && error.code === "BadMetricName";
    assert.throws(() => metrics.counter("cutline_frames", { help: "x" }), bad);
    assert.throws(() => metrics.gauge("cutline_links_total", { help: "x" }), bad);
    assert.throws(() => metrics.gauge("links", { help: "x" }), bad);
    assert.throws(() => metrics.gauge("cutline_Links", { help: "x" }), bad);
  });

  it("keeps two registries apart", async () => {
    const [one, other] = [createMetrics(), createMetrics()];
    one.gauge("cutline_links", { help: "Links." }).set({}, 1);
    assert.deepEqual(await linesOf(other, "cutline_links"), []);
  });
});

describe("metrics that their owner counts", () => {
  it("reads counters at every scrape", async () => {
    const metrics = createMetrics();
    let frames = 1;
    metrics.counter("cutline_frames_total", { help: "Frames.", read: () => [{ labels: {}, value: frames }] });
    assert.deepEqual(await linesOf(metrics, "cutline_frames_total"), ["cutline_frames_total 1"]);
    frames = 5;
    assert.deepEqual(await linesOf(metrics, "cutline_frames_total"), ["cutline_frames_total 5"]);
  });

  it("reads histograms as counts between bounds, and adds up what exceeds the combinations kept", async () => {
    const metrics = createMetrics({ labelSetsMax: 1 });
    metrics.histogramRead("cutline_call_duration_seconds", {
      help: "Calls.",
      labels: ["peer"],
      buckets: [0.1, 1],
      read: () => [
        { labels: { peer: "a" }, counts: [1, 2, 3], sum: 9.5 },
        { labels: { peer: "b" }, counts: [1, 0, 0], sum: 0.5 },
        { labels: { peer: "c" }, counts: [0, 0, 1], sum: 2 },
      ],
    });
    assert.deepEqual(await linesOf(metrics, "cutline_call_duration_seconds"), [
      'cutline_call_duration_seconds_bucket{peer="a",le="0.1"} 1',
      'cutline_call_duration_seconds_bucket{peer="a",le="1"} 3',
      'cutline_call_duration_seconds_bucket{peer="a",le="+Inf"} 6',
      'cutline_call_duration_seconds_sum{peer="a"} 9.5',
      'cutline_call_duration_seconds_count{peer="a"} 6',
      'cutline_call_duration_seconds_bucket{peer="other",le="0.1"} 1',
      'cutline_call_duration_seconds_bucket{peer="other",le="1"} 1',
      'cutline_call_duration_seconds_bucket{peer="other",le="+Inf"} 2',
      'cutline_call_duration_seconds_sum{peer="other"} 2.5',
      'cutline_call_duration_seconds_count{peer="other"} 2',
    ]);
  });

  it("describes what was declared", () => {
    const metrics = createMetrics();
    metrics.gauge("cutline_links", { help: "Links.", labels: ["peer"] });
    assert.deepEqual(metrics.describe(), [{ name: "cutline_links", type: "gauge", labels: ["peer"], help: "Links." }]);
  });
});
