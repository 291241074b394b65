import type { LogFields, Logger } from "@cutline/runtime";

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** A logger that keeps its lines. */
export function recorder(lines: LogLine[], bound: LogFields = {}): Logger {
  const at = (level: string) => (fields: LogFields, message: string) => {
    lines.push({ level, message, fields: { ...bound, ...fields } });
  };
  return {
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => recorder(lines, { ...bound, ...fields }),
  };
}
