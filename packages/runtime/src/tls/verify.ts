import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { identityOf, timeText, validity } from "./certificate.ts";
import type { TlsCode, TlsProblem } from "./errors.ts";
import { describeName, isSameName, type MeshIdentity, type MeshName } from "./identity.ts";
import { subjectOf } from "./material.ts";

export type PeerOutcome =
  | { readonly outcome: "verified"; readonly identity: MeshIdentity }
  | { readonly outcome: "unverified"; readonly problem: TlsProblem };

/** What OpenSSL says of a chain; what is not here is `CertificateInvalid`. */
const codes: ReadonlyMap<string, TlsCode> = new Map([
  ["CERT_HAS_EXPIRED", "CertificateExpired"],
  ["CERT_NOT_YET_VALID", "CertificateNotYetValid"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "CertificateForeign"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "CertificateForeign"],
  ["UNABLE_TO_GET_ISSUER_CERT", "CertificateForeign"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "CertificateForeign"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "CertificateForeign"],
  ["CERT_SIGNATURE_FAILURE", "CertificateForeign"],
  ["CERT_UNTRUSTED", "CertificateForeign"],
  ["INVALID_PURPOSE", "CertificatePurposeWrong"],
]);

/**
 * Judges the peer of a handshake that was let through whatever its certificate: so it can be told why, over the very
 * connection. Nothing but the reason may go to a peer that is not verified, and nothing it says may be believed.
 */
export function verifyPeer(socket: TLSSocket, trustDomain: string, nowMs: number): PeerOutcome {
  const certificate = peerCertificate(socket);
  if (certificate === undefined) {
    return unverified(
      "CertificateMissing",
      "the peer showed no certificate; give it one (CUTLINE_TLS_CERTIFICATE_FILE)",
    );
  }
  // Also on a resumed session, whose chain OpenSSL does not look at again.
  const { fromMs, untilMs } = validity(certificate);
  if (nowMs >= untilMs) {
    const message = `${subjectText(certificate)} expired at ${timeText(untilMs)}; renew it`;
    return unverified("CertificateExpired", message);
  }
  if (nowMs < fromMs) {
    const message = `${subjectText(certificate)} is valid from ${timeText(fromMs)} only, and it is ${timeText(nowMs)}; compare the clocks`;
    return unverified("CertificateNotYetValid", message);
  }
  if (!socket.authorized) return untrusted(certificate, String(socket.authorizationError));
  const named = identityOf(certificate);
  if (named.outcome === "nameless") {
    return unverified("CertificateNameless", `${subjectText(certificate)} is not of this mesh: ${named.message}`);
  }
  const { identity } = named;
  if (identity.trustDomain !== trustDomain) {
    const message = `${subjectText(certificate)} is of the trust domain ${identity.trustDomain}, and the other side is of ${trustDomain}`;
    return unverified("CertificateForeign", message);
  }
  return { outcome: "verified", identity };
}

/** `undefined`: it is who it should be. */
export function checkName(identity: MeshIdentity, expected: MeshName): TlsProblem | undefined {
  if (isSameName(identity, expected)) return undefined;
  const message = `the certificate is that of ${describeName(identity)}, and it should be ${describeName(expected)}; compare addresses, names and certificates`;
  return { code: "CertificateNameWrong", message };
}

/** Not by `getPeerX509Certificate`, which at a client's end takes the certificate out of the connection (node 24). */
function peerCertificate(socket: TLSSocket): X509Certificate | undefined {
  // An empty object, whatever its type says, when there is none.
  const { raw }: { raw?: Buffer } = socket.getPeerCertificate();
  return raw === undefined ? undefined : new X509Certificate(raw);
}

function untrusted(certificate: X509Certificate, reason: string): PeerOutcome {
  const code = codes.get(reason) ?? "CertificateInvalid";
  const issuer = certificate.issuer.replaceAll("\n", ", ");
  const message =
    code === "CertificateForeign"
      ? `${subjectText(certificate)} was issued by ${issuer}, which is not among the authorities that the other side trusts; compare CUTLINE_TLS_AUTHORITIES_FILE on both (${reason})`
      : code === "CertificateExpired" || code === "CertificateNotYetValid"
        ? `the authority ${issuer} of ${subjectText(certificate)} is not valid now; renew it (${reason})`
        : `${subjectText(certificate)} cannot be accepted: ${reason}`;
  return unverified(code, message);
}

const subjectCharsMax = 200;

/** Not verified yet: what it says of itself, cut short. */
function subjectText(certificate: X509Certificate): string {
  const named = identityOf(certificate);
  const subject = named.outcome === "ok" ? describeName(named.identity) : subjectOf(certificate);
  const serial = certificate.serialNumber.slice(0, subjectCharsMax);
  return `the certificate of ${subject.slice(0, subjectCharsMax)} (serial ${serial})`;
}

function unverified(code: TlsCode, message: string): PeerOutcome {
  return { outcome: "unverified", problem: { code, message } };
}
