import { X509Certificate } from "node:crypto";
import { splitPem, timeText, uriNamesOf, validity } from "@cutline/runtime";
import { CliError, exitCodes } from "../errors.ts";

export interface ShownCertificate {
  readonly subject: string;
  readonly uris: readonly string[];
  readonly kind: "authority" | "peer";
  readonly issuer: string;
  readonly serial: string;
  /** ISO times. */
  readonly from: string;
  readonly until: string;
  readonly standing: "valid" | "expired" | "not yet valid";
  readonly sha256: string;
}

/** Every certificate of a PEM file. */
export function readCertificates(path: string, pem: string, nowMs: number): ShownCertificate[] {
  const texts = splitPem(pem);
  if (texts.length === 0) {
    throw new CliError("CertificateUnreadable", exitCodes.usage, `${path} holds no certificate in PEM form`);
  }
  return texts.map((text, index) => {
    try {
      return show(new X509Certificate(text), nowMs);
    } catch (error) {
      const message = `certificate ${index + 1} of ${path} cannot be read; it is damaged`;
      throw new CliError("CertificateUnreadable", exitCodes.usage, message, { cause: error });
    }
  });
}

function show(certificate: X509Certificate, nowMs: number): ShownCertificate {
  const { fromMs, untilMs } = validity(certificate);
  return {
    subject: oneLine(certificate.subject),
    uris: uriNamesOf(certificate) ?? [],
    kind: certificate.ca ? "authority" : "peer",
    issuer: oneLine(certificate.issuer),
    serial: certificate.serialNumber,
    from: timeText(fromMs),
    until: timeText(untilMs),
    standing: nowMs >= untilMs ? "expired" : nowMs < fromMs ? "not yet valid" : "valid",
    sha256: certificate.fingerprint256,
  };
}

function oneLine(name: string): string {
  return name.replaceAll("\n", ", ");
}
