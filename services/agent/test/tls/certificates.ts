import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { type IssueOptions, type Issuer, issueCertificate } from "@cutline/certificates";
import { silentLogger, TlsCredentials } from "@cutline/runtime";

const hourMs = 3_600_000;

export function authority(trustDomain = "cutline"): Issuer {
  return issue({ kind: "authority", commonName: "authority", uris: [`spiffe://${trustDomain}`] });
}

export const mesh = authority();

/** Of a process by its id, or of the coordinator. */
export function certificateOf(name: string, changes: Partial<IssueOptions> = {}): Issuer {
  const path = name === "coordinator" ? name : `process/${name}`;
  return issue({ kind: "peer", commonName: name, uris: [`spiffe://cutline/${path}`], issuer: mesh, ...changes });
}

function issue(options: Pick<IssueOptions, "kind" | "commonName" | "uris"> & Partial<IssueOptions>): Issuer {
  return issueCertificate({ fromMs: Date.now() - hourMs, untilMs: Date.now() + 24 * hourMs, ...options });
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
  const folder = await mkdtemp(join(tmpdir(), "cutline-tls-"));
  after(() => rm(folder, { recursive: true, force: true }));
  const files = {
    certificateFile: join(folder, "certificate.pem"),
    keyFile: join(folder, "key.pem"),
    authoritiesFile: join(folder, "authorities.pem"),
  };
  const write = async ({ certificate, key }: Issuer, trusted: readonly Issuer[]) => {
    await writeFile(files.certificateFile, certificate);
    await writeFile(files.keyFile, key);
    await writeFile(files.authoritiesFile, trusted.map((one) => one.certificate).join(""));
  };
  await write(issued, authorities);
  const credentials = await TlsCredentials.open({
    files,
    self: name === "coordinator" ? { kind: "coordinator" } : { kind: "process", processId: name },
    reloadIntervalMs: 60_000,
    nowMs: () => Date.now() - agoMs,
    logger: silentLogger,
  });
  return {
    credentials,
    async replace(next, trusted = [mesh]) {
      await write(next, trusted);
      await credentials.look();
    },
  };
}

/** Expired by now; to be loaded as `agoMs` ago. */
export const expired = { fromMs: Date.now() - 9 * hourMs, untilMs: Date.now() - hourMs };
export const agoMs = 5 * hourMs;
