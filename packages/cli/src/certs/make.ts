import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { type Issuer, issueCertificate } from "@cutline/certificates";
import {
  authorityUri,
  identityUri,
  type MeshName,
  parseAuthorityUri,
  splitPem,
  timeText,
  uriNamesOf,
  validity,
} from "@cutline/runtime";
import { CliError, exitCodes } from "../errors.ts";
import { authorityFiles, pathsIn, peerFiles, readText, readTextIfThere, writeFiles } from "./folder.ts";

/** What was made, and where it stands now. */
export interface Made {
  readonly uri: string;
  /** ISO time. */
  readonly until: string;
  readonly files: Readonly<Record<string, string>>;
  /** Its end was brought forward to its authority's. */
  readonly shortened: boolean;
}

interface MakeOptions {
  readonly folder: string;
  readonly days: number;
  readonly force: boolean;
  readonly nowMs: number;
}

const dayMs = 86_400_000;
/** Certificates begin this much earlier, because clocks differ. */
const clockSkewMs = 5 * 60_000;

export async function makeAuthority(options: MakeOptions & { readonly trustDomain: string }): Promise<Made> {
  const { folder, days, force, nowMs, trustDomain } = options;
  const uri = authorityUri(trustDomain);
  const untilMs = wholeSecond(nowMs + days * dayMs);
  const issued = issueCertificate({
    kind: "authority",
    // With something that no other has: people must be able to tell the old one from the new one.
    commonName: `Cutline authority ${randomBytes(4).toString("hex")} of ${trustDomain}`,
    uris: [uri],
    fromMs: nowMs - clockSkewMs,
    untilMs,
  });
  const files = pathsIn(folder, authorityFiles);
  await writeFiles(
    [
      { path: files.key, text: issued.key, secret: true },
      { path: files.certificate, text: issued.certificate },
    ],
    force,
  );
  return { uri, until: timeText(untilMs), files, shortened: false };
}

export async function makePeer(
  name: MeshName,
  options: MakeOptions & { readonly authorityFolder: string },
): Promise<Made> {
  const { folder, days, force, nowMs, authorityFolder } = options;
  const { issuer, trustDomain, authorityUntilMs } = await readAuthority(authorityFolder, nowMs);
  const uri = identityUri({ ...name, trustDomain });
  const wishedMs = wholeSecond(nowMs + days * dayMs);
  const untilMs = Math.min(wishedMs, authorityUntilMs);
  const issued = issueCertificate({
    kind: "peer",
    commonName: name.kind === "process" ? name.processId : "coordinator",
    uris: [uri],
    fromMs: nowMs - clockSkewMs,
    untilMs,
    issuer,
  });
  const files = pathsIn(folder, peerFiles);
  const known = await readTextIfThere(files.authorities);
  await writeFiles(
    [
      { path: files.key, text: issued.key, secret: true },
      { path: files.certificate, text: issued.certificate },
      // An authority that takes over from another one is trusted beside it.
      { path: files.authorities, text: withAuthority(known, issuer.certificate), mayReplace: true },
    ],
    force,
  );
  return { uri, until: timeText(untilMs), files, shortened: untilMs < wishedMs };
}

/** A certificate holds no fractions. */
function wholeSecond(ms: number): number {
  return Math.floor(ms / 1_000) * 1_000;
}

async function readAuthority(folder: string, nowMs: number) {
  const paths = pathsIn(folder, authorityFiles);
  const issuer: Issuer = { certificate: await readText(paths.certificate), key: await readText(paths.key) };
  const certificate = parse(paths.certificate, issuer.certificate);
  const [uri] = uriNamesOf(certificate) ?? [];
  const trustDomain = parseAuthorityUri(uri ?? "");
  if (!certificate.ca || trustDomain === undefined) {
    throw unusable(`${paths.certificate} is no mesh authority; make one with: cutline certs authority`);
  }
  if (!isKeyOf(certificate, issuer.key)) {
    throw unusable(`${paths.key} does not hold the key of ${paths.certificate}`);
  }
  const { untilMs } = validity(certificate);
  if (nowMs >= untilMs) throw unusable(`the authority in ${folder} expired at ${timeText(untilMs)}; make a new one`);
  return { issuer, trustDomain, authorityUntilMs: untilMs };
}

function isKeyOf(certificate: X509Certificate, pem: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(pem));
  } catch {
    // What node says of a key that it cannot read could quote it.
    return false;
  }
}

function parse(path: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new CliError("CertificateUnreadable", exitCodes.usage, `${path} holds no certificate in PEM form`, {
      cause: error,
    });
  }
}

function withAuthority(known: string, authority: string): string {
  const before = splitPem(known);
  const isKnown = before.some((pem) => pem.trim() === authority.trim());
  return `${[...before, ...(isKnown ? [] : [authority.trim()])].join("\n")}\n`;
}

function unusable(message: string): CliError {
  return new CliError("AuthorityUnusable", exitCodes.usage, message);
}
