import { createMetrics, type Metrics } from "@cutline/runtime";

/** What the coordinator counts. */
export interface DriverMetrics {
  ended(outcome: string, durationMs: number): void;
  paused(pauseUs: number): void;
  stored(bytes: number): void;
}

/** Without `metrics` the same numbers are counted and never shown. */
export function driverMetrics(
  metrics: Metrics | undefined,
  read: { readonly agents: () => number; readonly running: () => number; readonly leading: () => boolean },
): DriverMetrics {
  const sink = metrics ?? createMetrics();
  const snapshots = sink.counter("cutline_snapshots_total", { help: "Snapshots that ended", labels: ["outcome"] });
  const duration = sink.histogram("cutline_snapshot_duration_seconds", {
    help: "From the request to the end",
    labels: ["outcome"],
  });
  const pause = sink.histogram("cutline_pause_seconds", { help: "How long one process's traffic was held for a cut" });
  const stored = sink.counter("cutline_stored_bytes_total", { help: "Bytes of parts committed to the store" });
  const gauge = (name: string, help: string, value: () => number) => {
    sink.gauge(name, { help, read: () => [{ labels: {}, value: value() }] });
  };
  gauge("cutline_agents", "Agents known", read.agents);
  gauge("cutline_snapshots_running", "Snapshots that run", read.running);
  gauge("cutline_leading", "1 while this replica leads", () => (read.leading() ? 1 : 0));
  return {
    ended(outcome, durationMs) {
      snapshots.add({ outcome });
      duration.observe({ outcome }, durationMs / 1000);
    },
    paused: (pauseUs) => pause.observe({}, pauseUs / 1_000_000),
    stored: (bytes) => stored.add({}, bytes),
  };
}
