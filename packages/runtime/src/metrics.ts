import {
  collectDefaultMetrics,
  Counter as PromCounter,
  Gauge as PromGauge,
  Histogram as PromHistogram,
  Registry,
} from "prom-client";
import { CutlineError } from "./errors.ts";

export type LabelValues<Label extends string> = Readonly<Record<Label, string>>;

export interface Counter<Label extends string> {
  /** `amount` is 1 by default and never negative. */
  add(labels: LabelValues<Label>, amount?: number): void;
}

export interface Gauge<Label extends string> {
  set(labels: LabelValues<Label>, value: number): void;
  add(labels: LabelValues<Label>, amount: number): void;
}

export interface Histogram<Label extends string> {
  observe(labels: LabelValues<Label>, value: number): void;
}

export interface MetricOptions<Label extends string> {
  readonly help: string;
  /** None by default; then every call passes `{}`. */
  readonly labels?: readonly Label[];
}

export interface Reading<Label extends string> {
  readonly labels: LabelValues<Label>;
  readonly value: number;
}

export interface ReadableOptions<Label extends string> extends MetricOptions<Label> {
  /**
   * Read at every scrape instead of being set or added to: the whole of what the metric shows. A counter's values never
   * fall as long as its labels are there.
   */
  readonly read?: () => Iterable<Reading<Label>>;
}

export interface HistogramOptions<Label extends string> extends MetricOptions<Label> {
  /** Upper bounds in the metric's unit, rising. By default from 1 ms to 60 s for a metric in seconds. */
  readonly buckets?: readonly number[];
}

export interface HistogramReading<Label extends string> {
  readonly labels: LabelValues<Label>;
  /** How many values were at most as large as each bound, and larger than the one before; last, those above all. */
  readonly counts: readonly number[];
  readonly sum: number;
}

export interface HistogramReadOptions<Label extends string> extends MetricOptions<Label> {
  /** Upper bounds in the metric's unit, rising. */
  readonly buckets: readonly number[];
  /** As of a counter. */
  readonly read: () => Iterable<HistogramReading<Label>>;
}

/** A metric for the reference of metrics. */
export interface MetricRow {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
}

/** Names follow the Prometheus and OpenMetrics rules: lower case, base unit last, `_total` for counters only. */
export interface Metrics {
  counter<const Label extends string = never>(name: string, options: ReadableOptions<Label>): Counter<Label>;
  gauge<const Label extends string = never>(name: string, options: ReadableOptions<Label>): Gauge<Label>;
  histogram<const Label extends string = never>(name: string, options: HistogramOptions<Label>): Histogram<Label>;
  /** A histogram that its owner counts by itself, where an `observe` for every value would cost too much. */
  histogramRead<const Label extends string = never>(name: string, options: HistogramReadOptions<Label>): void;
  /** The Prometheus text format, version 0.0.4. */
  render(): Promise<string>;
  readonly contentType: string;
  /** Everything that was declared so far, in that order; without what Node tells of itself. */
  describe(): readonly MetricRow[];
}

export interface CreateMetricsOptions {
  /** How many combinations of label values one metric keeps; 1000 by default. */
  readonly labelSetsMax?: number;
  /** Adds what Node tells of itself (event loop, heap, garbage collection). False by default. */
  readonly nodeMetrics?: boolean;
}

const labelSetsMaxDefault = 1_000;

/** What a label says once its metric holds as many combinations as it may: the sums stay right, the detail ends. */
const overflowLabelValue = "other";

/** Longer label values are cut, in UTF-16 code units. */
const labelValueCharsMax = 200;

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Each look at the event loop wakes the program up. The delays that `nodejs_eventloop_lag_*` tells begin with this. */
const eventLoopEveryMs = 100;

export function createMetrics(options: CreateMetricsOptions = {}): Metrics {
  const registry = new Registry();
  const labelSetsMax = options.labelSetsMax ?? labelSetsMaxDefault;
  const overflows = new PromCounter({
    name: "cutline_metric_label_overflows_total",
    help: "Samples whose labels were replaced because their metric holds as many label combinations as it may",
    labelNames: ["metric"],
    registers: [registry],
  });
  if (options.nodeMetrics === true) {
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: eventLoopEveryMs });
  }

  /** Bounds the memory of one metric: label values may come from peers. */
  function limitLabels<Label extends string>(name: string, labelNames: readonly Label[]) {
    const seen = new Set<string>();
    return (labels: LabelValues<Label>): Record<Label, string> => {
      const values = labelNames.map((label) => labels[label].slice(0, labelValueCharsMax));
      const key = JSON.stringify(values);
      if (!seen.has(key) && seen.size >= labelSetsMax) {
        overflows.inc({ metric: name });
        return labelRecord(labelNames, () => overflowLabelValue);
      }
      seen.add(key);
      return labelRecord(labelNames, (index) => values[index] ?? "");
    };
  }

  const rows: MetricRow[] = [];
  function declare(name: string, type: MetricRow["type"], { labels = [], help }: MetricOptions<string>): void {
    checkName(name, type);
    rows.push({ name, type, labels, help });
  }

  return {
    contentType: registry.contentType,
    render: () => registry.metrics(),
    describe: () => rows,
    counter(name, metric) {
      declare(name, "counter", metric);
      const labelNames = metric.labels ?? [];
      const { read } = metric;
      const counter: PromCounter = new PromCounter({
        name,
        help: metric.help,
        labelNames: [...labelNames],
        registers: [registry],
        ...(read === undefined ? {} : { collect: () => refill(read) }),
      });
      function refill(entries: NonNullable<typeof read>): void {
        counter.reset();
        const limited = limitLabels(name, labelNames);
        for (const { labels, value } of entries()) counter.inc(limited(labels), value);
      }
      const limited = limitLabels(name, labelNames);
      return { add: (labels, amount = 1) => counter.inc(limited(labels), amount) };
    },
    gauge(name, metric) {
      declare(name, "gauge", metric);
      const labelNames = metric.labels ?? [];
      const { read } = metric;
      const limitedForGood = limitLabels(name, labelNames);
      const gauge: PromGauge = new PromGauge({
        name,
        help: metric.help,
        labelNames: [...labelNames],
        registers: [registry],
        ...(read === undefined ? {} : { collect: () => refill(read) }),
      });
      function refill(entries: NonNullable<typeof read>): void {
        gauge.reset();
        const limited = limitLabels(name, labelNames);
        for (const { labels, value } of entries()) {
          gauge.inc(limited(labels), value);
        }
      }
      return {
        set: (labels, value) => gauge.set(limitedForGood(labels), value),
        add: (labels, amount) => gauge.inc(limitedForGood(labels), amount),
      };
    },
    histogram(name, metric) {
      declare(name, "histogram", metric);
      const labelNames = metric.labels ?? [];
      const histogram = new PromHistogram({
        name,
        help: metric.help,
        labelNames: [...labelNames],
        buckets: [...(metric.buckets ?? secondsBuckets)],
        registers: [registry],
      });
      const limited = limitLabels(name, labelNames);
      return { observe: (labels, value) => histogram.observe(limited(labels), value) };
    },
    histogramRead(name, metric) {
      declare(name, "histogram", metric);
      const labelNames = metric.labels ?? [];
      const { help, buckets, read } = metric;
      // The library's own histogram takes values one by one only; of a metric the registry asks no more than this.
      const get = () => {
        const sums = new Map<string, HistogramReading<string>>();
        const limited = limitLabels(name, labelNames);
        for (const reading of read()) {
          const labels = limited(reading.labels);
          const key = JSON.stringify(labels);
          const known = sums.get(key);
          sums.set(key, known === undefined ? { ...reading, labels } : sumOf(known, reading));
        }
        return {
          name,
          help,
          type: "histogram",
          values: [...sums.values()].flatMap((one) => linesOf(name, buckets, one)),
        };
      };
      registry.registerMetric({ name, help, get } as unknown as PromHistogram);
    },
  };
}

function sumOf(a: HistogramReading<string>, b: HistogramReading<string>): HistogramReading<string> {
  return { labels: a.labels, counts: a.counts.map((count, i) => count + (b.counts[i] ?? 0)), sum: a.sum + b.sum };
}

function linesOf(name: string, buckets: readonly number[], { labels, counts, sum }: HistogramReading<string>) {
  let total = 0;
  const lines = [...buckets, "+Inf"].map((le, i) => {
    total += counts[i] ?? 0;
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: total };
  });
  return [
    ...lines,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: total },
  ];
}

function labelRecord<Label extends string>(
  labelNames: readonly Label[],
  valueAt: (index: number) => string,
): Record<Label, string> {
  // Every label of the metric is set, so the record is whole.
  return Object.fromEntries(labelNames.map((label, index) => [label, valueAt(index)])) as Record<Label, string>;
}

function checkName(name: string, kind: "counter" | "gauge" | "histogram"): void {
  const message = !/^cutline_[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(name)
    ? "must be cutline_ and words in lower case"
    : (kind === "counter") !== name.endsWith("_total")
      ? "must end in _total when it is a counter, and only then"
      : undefined;
  if (message !== undefined) {
    throw new CutlineError("BadMetricName", `the metric name ${name} ${message}`);
  }
}
