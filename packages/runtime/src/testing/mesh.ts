import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { type IssueOptions, type Issuer, issueCertificate } from "@cutline/certificates";
import { silentLogger } from "../logger.ts";
import { TlsCredentials } from "../tls/credentials.ts";
import { identityUri, type MeshName } from "../tls/identity.ts";
import type { TlsFiles } from "../tls/material.ts";

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

/** The authority of all certificates that name no other one. */
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

/** `coordinator`, or a process by its id. */
const meshName = (name: string): MeshName => (name === "coordinator" ? { kind: "coordinator" } : processNamed(name));

/** Of the coordinator (`coordinator`), or of a process by its id. */
export function certificateOf(name: string, changes: Partial<IssueOptions> = {}): Issuer {
  return peer(meshName(name), changes);
}

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

export interface Identity {
  readonly credentials: TlsCredentials;
  /** Writes other files, which the credentials look at at once. */
  replace(issued: Issuer, authorities?: readonly Issuer[]): Promise<void>;
}

/** Credentials of `name` with files of their own. `agoMs`: they were checked so long ago. */
export async function identity(
  name: string,
  issued: Issuer = certificateOf(name),
  { authorities = [mesh], agoMs = 0 }: { readonly authorities?: readonly Issuer[]; readonly agoMs?: number } = {},
): Promise<Identity> {
  const files = await filesOf(issued, authorities);
  const credentials = await TlsCredentials.open({
    files,
    self: meshName(name),
    reloadIntervalMs: 60_000,
    nowMs: () => Date.now() - agoMs,
    logger: silentLogger,
  });
  return {
    credentials,
    async replace(next, trusted = [mesh]) {
      await rewrite(files, next, trusted);
      await credentials.look();
    },
  };
}

/** Expired by now; to be loaded as {@link agoMs} ago. */
export const expired = { fromMs: Date.now() - 9 * hourMs, untilMs: Date.now() - hourMs };
export const agoMs = 5 * hourMs;
