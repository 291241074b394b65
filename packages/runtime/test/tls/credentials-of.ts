import { after } from "node:test";
import type { LogFields, Logger } from "../../src/index.ts";
import { TlsCredentials, type TlsCredentialsOptions } from "../../src/tls/credentials.ts";
import type { MeshName } from "../../src/tls/identity.ts";
import type { TlsFiles } from "../../src/tls/material.ts";

export interface LogLine {
  readonly level: string;
  readonly fields: LogFields;
  readonly message: string;
}

export function listLogger(lines: LogLine[]): Logger {
  const at = (level: string) => (fields: LogFields, message: string) => void lines.push({ level, fields, message });
  const logger: Logger = {
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => logger,
  };
  return logger;
}

export async function credentialsOf(
  self: MeshName,
  files: TlsFiles,
  changes: Partial<TlsCredentialsOptions> = {},
): Promise<TlsCredentials> {
  const options = { files, self, reloadIntervalMs: 20, nowMs: Date.now, logger: listLogger([]), ...changes };
  const credentials = await TlsCredentials.open(options);
  after(() => credentials.stop());
  return credentials;
}
