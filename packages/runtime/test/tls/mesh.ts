import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { type IssueOptions, type Issuer, issueCertificate } from "@cutline/certificates";
import type { LogFields, Logger } from "../../src/index.ts";
import { TlsCredentials, type TlsCredentialsOptions } from "../../src/tls/credentials.ts";
import { identityUri, type MeshName } from "../../src/tls/identity.ts";
import type { TlsFiles } from "../../src/tls/material.ts";

export const hourMs = 3_600_000;

/** A mesh authority, anew in every test that needs a foreign one. */
export function authority(trustDomain = "cutline", changes: Partial<IssueOptions> = {}): Issuer {
  return issueCertificate({
    kind: "authority",
    commonName: `authority of ${trustDomain}`,
    uris: [`spiffe://${trustDomain}`],
    fromMs: Date.now() - hourMs,
    untilMs: Date.now() + 1_000 * hourMs,
    ...changes,
  });
}

export const mesh = authority();

export function peer(name: MeshName, changes: Partial<IssueOptions> = {}): Issuer {
  return issueCertificate({
    kind: "peer",
    commonName: name.kind,
    uris: [identityUri({ ...name, trustDomain: "cutline" })],
    fromMs: Date.now() - hourMs,
    untilMs: Date.now() + 24 * hourMs,
    issuer: mesh,
    ...changes,
  });
}

export const processNamed = (processId: string): MeshName => ({ kind: "process", processId });

/** Three files in a folder of their own, removed after all tests. */
export async function filesOf(issued: Issuer, authorities: readonly Issuer[] = [mesh]): Promise<TlsFiles> {
  const folder = await mkdtemp(join(tmpdir(), "cutline-tls-"));
  after(() => rm(folder, { recursive: true, force: true }));
  const files = {
    certificateFile: join(folder, "certificate.pem"),
    keyFile: join(folder, "key.pem"),
    authoritiesFile: join(folder, "authorities.pem"),
  };
  await rewrite(files, issued, authorities);
  return files;
}

export async function rewrite(files: TlsFiles, issued: Issuer, authorities: readonly Issuer[] = [mesh]): Promise<void> {
  await writeFile(files.certificateFile, issued.certificate);
  await writeFile(files.keyFile, issued.key);
  await writeFile(files.authoritiesFile, authorities.map(({ certificate }) => certificate).join(""));
}

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
