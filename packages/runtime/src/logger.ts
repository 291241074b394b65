import { trace } from "@opentelemetry/api";
import { type DestinationStream, pino } from "pino";
import { CutlineError, describeError } from "./errors.ts";

export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;

export type LogLevel = (typeof logLevels)[number];

/** Values, never payloads. An `error` field may hold anything that was thrown. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The message is constant; what varies stands in the fields. */
export interface Logger {
  trace(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A logger whose lines all carry these fields too. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  readonly service: string;
  readonly level: LogLevel;
  /** Fields of every line, such as the process id and its incarnation. */
  readonly fields?: LogFields;
  /** Receives whole lines; standard output by default. */
  readonly destination?: DestinationStream;
}

const secretKeys = [
  "authorization",
  "Authorization",
  "cookie",
  "credential",
  "credentials",
  "password",
  "privateKey",
  "secret",
  "token",
];

/** Secrets are looked for at the top of the fields and two levels below. */
const redactedPaths = secretKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);

/** Stack traces longer than this are cut, in UTF-16 code units. */
const stackCharsMax = 4000;

/** JSON lines with an ISO time, the level's name, the service, and the active span's ids when there is one. */
export function createLogger(options: LoggerOptions): Logger {
  const settings = {
    level: options.level,
    base: { service: options.service, ...options.fields },
    messageKey: "message",
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: errorFields, err: errorFields },
    redact: { paths: redactedPaths, censor: "[redacted]" },
    mixin: activeSpanFields,
  };
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination);
}

/** Says nothing; for tests and for code that was given no logger. */
export const silentLogger: Logger = {
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => silentLogger,
};

function ignore(): void {}

function activeSpanFields(): object {
  const context = trace.getActiveSpan()?.spanContext();
  return context === undefined ? {} : { traceId: context.traceId, spanId: context.spanId };
}

function errorFields(error: unknown): object {
  if (!(error instanceof Error)) {
    return { message: describeError(error) };
  }
  const described = { name: error.name, message: describeError(error) };
  if (error instanceof CutlineError) {
    // Raised on purpose, where the code says all; the stack helps with what nobody expected.
    return { ...described, code: error.code };
  }
  return { ...described, stack: error.stack?.slice(0, stackCharsMax) };
}
