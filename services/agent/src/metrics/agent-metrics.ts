import type { HeldBytes, Http2Meter } from "@cutline/h2";
import type { Metrics } from "@cutline/runtime";
import type { DataPlane } from "../dataplane/data-plane.ts";
import type { Link } from "../dataplane/link/link.ts";
import { durationBuckets, statusName } from "./call-series.ts";
import type { LinkTotals } from "./link-book.ts";

/** The most that one metric has: every series of calls with every status. */
export const agentLabelSetsMax = 10_000;

/** Where HTTP/2 is spoken: calls of the application, callers without an agent, calls to the application. */
type Http2Side = "outbound" | "inbound" | "application";

/** What is read at every scrape; nothing of it is worked out before. */
export interface MetricSources {
  /** Absent: no spans are made. */
  readonly spans: { readonly sent: number; readonly dropped: number } | undefined;
  readonly plane: Pick<DataPlane, "book" | "linkBook" | "driver" | "environment">;
  readonly http2: Readonly<Record<Http2Side, Http2Meter>>;
  /** Of all HTTP/2 connections. */
  readonly held: Pick<HeldBytes, "bytes" | "bytesMax" | "givenUp">;
  readiness(): "ready" | "unready";
  attached(): boolean;
}

/** What is noted as it happens, because it happens rarely. */
export interface AgentMetrics {
  captured(outcome: "exact" | "inexact", pauseUs: number): void;
  captureFailed(code: string): void;
}

/** Declares what the agent shows of itself (docs/reference/metrics.md). */
export function declareAgentMetrics(metrics: Metrics, sources: MetricSources): AgentMetrics {
  declareCalls(metrics, sources.plane);
  declareLinks(metrics, sources.plane);
  declareRest(metrics, sources);
  const captures = metrics.counter("cutline_captures_total", {
    help: "Captures of the application: exact, inexact, or the code of the failure",
    labels: ["outcome"],
  });
  const pause = metrics.histogram("cutline_capture_pause_seconds", {
    help: "How long the application's traffic was held for a capture",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  });
  return {
    captured(outcome, pauseUs) {
      captures.add({ outcome });
      pause.observe({}, pauseUs / 1_000_000);
    },
    captureFailed: (outcome) => captures.add({ outcome }),
  };
}

function declareCalls(metrics: Metrics, { book, driver }: MetricSources["plane"]): void {
  const names = ["direction", "peer", "authority", "method"] as const;
  const readSeries = (value: (series: (typeof book.series)[number]) => number) => () =>
    book.series.map((series) => ({ labels: { direction: series.direction, ...series.names }, value: value(series) }));
  metrics.counter("cutline_calls_total", {
    help: "Calls that ended, by gRPC status; none: an answer without one; reset: no answer was completed",
    labels: [...names, "grpc_status"],
    read: function* () {
      for (const { direction, names: labels, endedBy } of book.series) {
        for (const [status, value] of endedBy.entries()) {
          if (value > 0) yield { labels: { direction, ...labels, grpc_status: statusName(status) }, value };
        }
      }
    },
  });
  metrics.histogramRead("cutline_call_duration_seconds", {
    help: "From the call's first headers to the end of its answer, as this agent saw them",
    labels: names,
    buckets: durationBuckets,
    read: () =>
      book.series.map((series) => ({
        labels: { direction: series.direction, ...series.names },
        counts: series.durations,
        sum: series.durationSumMs / 1_000,
      })),
  });
  metrics.gauge("cutline_open_calls", { help: "Calls that are open", labels: names, read: readSeries((s) => s.open) });
  const bytes = (name: string, help: string, direction: "sentBytes" | "receivedBytes") => {
    metrics.counter(name, {
      help,
      labels: names,
      read() {
        const all = new Map(book.series.map((series) => [series, series[direction]]));
        const add = (series: (typeof book.series)[number], more: number) =>
          all.set(series, (all.get(series) ?? 0) + more);
        for (const link of driver.links.values()) {
          for (const call of link.calls.values()) add(call.counted.series, call[direction]);
        }
        for (const call of book.environmentCalls) add(call.counted.series, call[direction]);
        return [...all].map(([s, value]) => ({ labels: { direction: s.direction, ...s.names }, value }));
      },
    });
  };
  bytes(
    "cutline_call_sent_bytes_total",
    "Message bytes that came from the application, open calls included",
    "sentBytes",
  );
  bytes("cutline_call_received_bytes_total", "Message bytes that came for the application", "receivedBytes");
}

function declareLinks(metrics: Metrics, { driver, linkBook }: MetricSources["plane"]): void {
  const gauge = (name: string, help: string, value: (link: Link) => number) => {
    metrics.gauge(name, {
      help,
      labels: ["peer"],
      read: () =>
        [...driver.links.values()].map((link) => ({ labels: { peer: link.peer.processId }, value: value(link) })),
    });
  };
  gauge("cutline_links", "Links, whether or not they are connected", () => 1);
  gauge("cutline_links_connected", "Links that have a connection", (link) => (link.connected ? 1 : 0));
  gauge(
    "cutline_link_unacknowledged_bytes",
    "Sent on links and kept until the peer has acknowledged it",
    (link) => link.unacknowledgedBytes,
  );
  gauge(
    "cutline_link_waiting_bytes",
    "Read from the application and waiting for credit, room on the link or a cut",
    (link) => sumOf(link.calls.values(), (call) => call.outbound.bytes),
  );
  gauge("cutline_link_kept_bytes", "Arrived, and kept because the application may not have received it", (link) =>
    sumOf(link.calls.values(), (call) => call.inbound.bytes),
  );
  const counter = (name: string, help: string, value: (totals: LinkTotals) => number) => {
    metrics.counter(name, {
      help,
      labels: ["peer"],
      read: () =>
        [...linkBook.totals(driver.links.values())].map(([peer, totals]) => ({
          labels: { peer },
          value: value(totals),
        })),
    });
  };
  counter("cutline_link_resumes_total", "Times a link went on over a new connection", ({ resumes }) => resumes);
  counter("cutline_links_lost_total", "Links given up, with whatever was on them", ({ lost }) => lost);
  counter("cutline_link_sent_frames_total", "Numbered frames sent", ({ sentFrames }) => sentFrames);
  counter(
    "cutline_link_received_frames_total",
    "Numbered frames received, once each",
    ({ receivedFrames }) => receivedFrames,
  );
}

function declareRest(metrics: Metrics, { plane, http2, held, spans, readiness, attached }: MetricSources): void {
  metrics.counter("cutline_spans_total", {
    help: "Spans of calls, by what became of them: sent or dropped",
    labels: ["outcome"],
    read: () =>
      Object.entries({ sent: spans?.sent ?? 0, dropped: spans?.dropped ?? 0 }).map(([outcome, value]) => ({
        labels: { outcome },
        value,
      })),
  });
  const directions = ["inbound", "outbound"] as const;
  metrics.counter("cutline_environment_calls_total", {
    help: "Calls and tunnels that began with peers outside of the mesh",
    labels: ["direction"],
    read: () => directions.map((direction) => ({ labels: { direction }, value: plane.environment.begun[direction] })),
  });
  metrics.gauge("cutline_environment_open_calls", {
    help: "Calls and tunnels that are open with peers outside of the mesh",
    labels: ["direction"],
    read: () =>
      plane.environment.peers().map(({ direction, openCalls }) => ({ labels: { direction }, value: openCalls })),
  });
  const sides = (value: (meter: Http2Meter) => number) => () =>
    Object.entries(http2).map(([side, meter]) => ({ labels: { side }, value: value(meter) }));
  const labels = ["side"] as const;
  metrics.gauge("cutline_http2_connections", {
    help: "HTTP/2 connections; side: outbound (the application's), inbound (callers without an agent), application (to it)",
    labels,
    read: sides(({ open }) => open),
  });
  metrics.counter("cutline_http2_connections_total", {
    help: "HTTP/2 connections since the start",
    labels,
    read: sides(({ opened }) => opened),
  });
  metrics.counter("cutline_http2_protocol_errors_total", {
    help: "HTTP/2 connections closed because the peer broke a rule or had too much of something",
    labels,
    read: sides(({ protocolErrors }) => protocolErrors),
  });
  metrics.gauge("cutline_http2_held_bytes", {
    help: "What all HTTP/2 connections together hold: not read by who is to get it, or not taken by the peer",
    read: () => [{ labels: {}, value: held.bytes }],
  });
  metrics.gauge("cutline_http2_held_bytes_max", {
    help: "The most that they may hold (CUTLINE_HTTP2_HELD_BYTES_MAX)",
    read: () => [{ labels: {}, value: held.bytesMax }],
  });
  metrics.counter("cutline_http2_held_given_up_total", {
    help: "Times the connection that held the most was closed, or its largest calls were reset, because all held too much",
    read: () => [{ labels: {}, value: held.givenUp }],
  });
  metrics.gauge("cutline_ready", {
    help: "1 while /readyz says ready",
    read: () => [{ labels: {}, value: readiness() === "ready" ? 1 : 0 }],
  });
  metrics.gauge("cutline_coordinator_attached", {
    help: "1 while the coordinator is attached",
    read: () => [{ labels: {}, value: attached() ? 1 : 0 }],
  });
}

function sumOf<T>(items: Iterable<T>, value: (item: T) => number): number {
  let sum = 0;
  for (const item of items) sum += value(item);
  return sum;
}
