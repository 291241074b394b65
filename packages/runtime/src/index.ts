export {
  type ConfigDefinition,
  type ConfigOf,
  type ConfigOutcome,
  type ConfigProblem,
  type ConfigRow,
  type ConfigTable,
  defineConfig,
  describeConfig,
  type Environment,
  loadConfig,
  renderConfigProblems,
  renderConfigTable,
} from "./config.ts";
export { CutlineError, type CutlineErrorOptions, describeError, type Reason, reasonOf } from "./errors.ts";
export { createLifecycle, type Lifecycle, type Part, type StopOutcome } from "./lifecycle.ts";
export { createLogger, type LogFields, type Logger, type LogLevel, logLevels, silentLogger } from "./logger.ts";
export {
  type Counter,
  createMetrics,
  type Gauge,
  type GaugeOptions,
  type Histogram,
  type HistogramOptions,
  type LabelValues,
  type MetricOptions,
  type Metrics,
} from "./metrics.ts";
export { Secret, type Setting } from "./setting.ts";
export { choice, flag, integer, list, secret, text } from "./settings.ts";
export { type ProcessEvents, runUntilSignal, type Signal } from "./signals.ts";
