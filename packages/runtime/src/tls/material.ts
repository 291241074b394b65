import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext, type SecureContext } from "node:tls";
import { describeError } from "../errors.ts";
import { identityOf, splitPem, timeText, validity } from "./certificate.ts";
import { type TlsCode, TlsError } from "./errors.ts";
import { describeName, isSameName, type MeshIdentity, type MeshName } from "./identity.ts";

/** Three PEM files. */
export interface TlsFiles {
  /** The certificate, and behind it the intermediate ones if there are any. */
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Every authority whose certificates are accepted; two while one takes over from the other. */
  readonly authoritiesFile: string;
}

/** What the files hold, checked. */
export interface TlsMaterial {
  readonly identity: MeshIdentity;
  readonly certificate: X509Certificate;
  readonly authorities: readonly X509Certificate[];
  readonly pem: { readonly cert: string; readonly key: string; readonly ca: readonly string[] };
  readonly context: SecureContext;
  /** Not wrong, and worth a line in the log. */
  readonly warnings: readonly string[];
}

export interface TlsContents {
  readonly certificate: string;
  readonly key: string;
  readonly authorities: string;
  /** Of all three. */
  readonly digest: string;
}

/** Of each file. */
const fileBytesMax = 1024 * 1024;
const authoritiesMax = 100;

/** Rejects with a {@link TlsError} that names the file. */
export async function readContents(files: TlsFiles): Promise<TlsContents> {
  const [certificate, key, authorities] = await Promise.all(
    [files.certificateFile, files.keyFile, files.authoritiesFile].map(read),
  );
  return contentsOf({ certificate: certificate ?? "", key: key ?? "", authorities: authorities ?? "" });
}

/** PEM texts that come from elsewhere than from files. */
export function contentsOf(texts: Omit<TlsContents, "digest">): TlsContents {
  const hash = createHash("sha256");
  for (const text of [texts.certificate, texts.key, texts.authorities]) hash.update(`${text.length}:${text}`);
  return { ...texts, digest: hash.digest("hex") };
}

/** Throws a {@link TlsError}: whatever it says, no peer would accept this, or all would be accepted wrongly. */
export function checkContents(files: TlsFiles, contents: TlsContents, self: MeshName, nowMs: number): TlsMaterial {
  const { certificateFile, keyFile, authoritiesFile } = files;
  const chain = parseAll(certificateFile, contents.certificate);
  const authorities = parseAll(authoritiesFile, contents.authorities);
  const [certificate] = chain;
  if (certificate === undefined) throw invalid(certificateFile, "holds no certificate in PEM form");
  if (authorities.length === 0) throw invalid(authoritiesFile, "holds no certificate in PEM form");
  if (authorities.length > authoritiesMax) {
    throw invalid(authoritiesFile, `holds ${authorities.length} certificates; at most ${authoritiesMax} are allowed`);
  }
  checkKey(keyFile, contents.key, certificateFile, certificate);
  checkDates(certificateFile, certificate, nowMs);
  const identity = checkName(certificateFile, certificate, self);
  const warnings = checkAuthorities(authoritiesFile, authorities, nowMs);
  if (!isIssuedByOneOf(chain, authorities)) {
    warnings.push(
      `no authority in ${authoritiesFile} has issued ${certificateFile}: peers that trust the same authorities refuse it`,
    );
  }
  const pem = { cert: contents.certificate, key: contents.key, ca: splitPem(contents.authorities) };
  try {
    const context = createSecureContext({ ...pem, ca: [...pem.ca], minVersion: "TLSv1.3" });
    return { identity, certificate, authorities, pem, context, warnings };
  } catch (error) {
    throw invalid(certificateFile, `cannot be used: ${describeError(error)}`, error);
  }
}

async function read(file: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw invalid(file, `cannot be read: ${describeError(error)}`, error);
  }
  if (bytes.length > fileBytesMax) {
    throw invalid(file, `has ${bytes.length} bytes; at most ${fileBytesMax} are allowed`);
  }
  return bytes.toString("utf8");
}

function parseAll(file: string, pem: string): X509Certificate[] {
  return splitPem(pem).map((text, index) => {
    try {
      return new X509Certificate(text);
    } catch (error) {
      throw invalid(file, `holds a certificate (number ${index + 1}) that cannot be read`, error);
    }
  });
}

function checkKey(keyFile: string, pem: string, certificateFile: string, certificate: X509Certificate): void {
  let key: ReturnType<typeof createPrivateKey>;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    // What node says could quote the file, and the file is a secret.
    throw invalid(keyFile, "holds no private key in PEM form that needs no passphrase", error);
  }
  if (!certificate.checkPrivateKey(key)) {
    throw new TlsError(
      "KeyMismatch",
      `the key in ${keyFile} is not that of the certificate in ${certificateFile}; set the two that were made together`,
    );
  }
}

function checkDates(file: string, certificate: X509Certificate, nowMs: number): void {
  const { fromMs, untilMs } = validity(certificate);
  if (nowMs >= untilMs) {
    throw new TlsError("CertificateExpired", `the certificate in ${file} expired at ${timeText(untilMs)}; renew it`);
  }
  if (nowMs < fromMs) {
    const message = `the certificate in ${file} is valid from ${timeText(fromMs)} only; wait, or set the clock right`;
    throw new TlsError("CertificateNotYetValid", message);
  }
}

function checkName(file: string, certificate: X509Certificate, self: MeshName): MeshIdentity {
  const named = identityOf(certificate);
  if (named.outcome === "nameless") {
    throw new TlsError(
      "CertificateNameless",
      `the certificate in ${file} is not for ${describeName(self)}: ${named.message}`,
    );
  }
  if (!isSameName(named.identity, self)) {
    const message = `the certificate in ${file} is that of ${describeName(named.identity)}, and this is ${describeName(self)}`;
    throw new TlsError("CertificateNameWrong", message);
  }
  return named.identity;
}

function checkAuthorities(file: string, authorities: readonly X509Certificate[], nowMs: number): string[] {
  const warnings: string[] = [];
  for (const authority of authorities) {
    if (!authority.ca) throw invalid(file, `holds a certificate that is no authority: ${subjectOf(authority)}`);
    const { untilMs } = validity(authority);
    if (nowMs >= untilMs) warnings.push(`authority ${subjectOf(authority)} in ${file} expired at ${timeText(untilMs)}`);
  }
  if (warnings.length === authorities.length) {
    throw new TlsError("CertificateExpired", `every authority in ${file} has expired; no peer could be accepted`);
  }
  return warnings;
}

function isIssuedByOneOf(chain: readonly X509Certificate[], authorities: readonly X509Certificate[]): boolean {
  return chain.some((link) =>
    authorities.some((authority) => link.checkIssued(authority) && link.verify(authority.publicKey)),
  );
}

/** On one line. */
export function subjectOf(certificate: X509Certificate): string {
  return certificate.subject.replaceAll("\n", ", ");
}

function invalid(file: string, message: string, cause?: unknown): TlsError {
  const code: TlsCode = "TlsFileInvalid";
  return new TlsError(code, `${file} ${message}`, cause === undefined ? {} : { cause });
}
