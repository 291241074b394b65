export { BatchWriter, reservedBytesMax } from "./batch-writer.ts";
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
export { shareConnections } from "./connection-share.ts";
export { CutlineError, type CutlineErrorOptions, describeError, type Reason, reasonOf } from "./errors.ts";
export { IdTable } from "./id-table.ts";
export { createLifecycle, type Lifecycle, type Part, type StopOutcome } from "./lifecycle.ts";
export { createLogger, type LogFields, type Logger, type LogLevel, logLevels, silentLogger } from "./logger.ts";
export {
  type Counter,
  createMetrics,
  type Gauge,
  type Histogram,
  type HistogramOptions,
  type HistogramReading,
  type HistogramReadOptions,
  type LabelValues,
  type MetricOptions,
  type MetricRow,
  type Metrics,
  type ReadableOptions,
  type Reading,
} from "./metrics.ts";
export { Secret, type Setting } from "./setting.ts";
export { choice, flag, integer, list, secret, text } from "./settings.ts";
export { connectShared, isShared, ownBytes, receive } from "./shared-reads.ts";
export { type ProcessEvents, runUntilSignal, type Signal } from "./signals.ts";
export { returnSlab, slabBytes, takeSlab } from "./slabs.ts";
export { type Accepted, Acceptor, addressOf } from "./tls/accept.ts";
export { identityOf, splitPem, timeText, uriNamesOf, validity } from "./tls/certificate.ts";
export { TlsCredentials } from "./tls/credentials.ts";
export { secure } from "./tls/dial.ts";
export { TlsError, type TlsProblem } from "./tls/errors.ts";
export {
  authorityUri,
  describeName,
  identityUri,
  isProcessId,
  isTrustDomain,
  type MeshIdentity,
  type MeshName,
  parseAuthorityUri,
} from "./tls/identity.ts";
export { checkContents, contentsOf, readContents, type TlsContents, type TlsFiles } from "./tls/material.ts";
export { readRefusal, sendRefusal } from "./tls/refusal-line.ts";
export { RefusalLog } from "./tls/refusals.ts";
export { openCredentials, type TlsSource, tlsSettings } from "./tls/settings.ts";
export { checkName } from "./tls/verify.ts";
