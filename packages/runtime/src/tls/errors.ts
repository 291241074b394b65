import { CutlineError } from "../errors.ts";

/** Why there is no TLS with somebody, or none at all. */
export type TlsCode =
  /** The settings contradict each other. */
  | "TlsIncomplete"
  /** A file that is set cannot be used. */
  | "TlsFileInvalid"
  /** The key is not the certificate's. */
  | "KeyMismatch"
  /** The peer showed no certificate. */
  | "CertificateMissing"
  | "CertificateExpired"
  | "CertificateNotYetValid"
  /** No authority that is trusted here has issued it. */
  | "CertificateForeign"
  | "CertificatePurposeWrong"
  | "CertificateInvalid"
  /** It names no process and no coordinator, or several. */
  | "CertificateNameless"
  /** It names somebody else. */
  | "CertificateNameWrong"
  /** The other side does not speak TLS, and this one does. */
  | "PeerIsPlain"
  /** The other side speaks TLS, and this one does not. */
  | "PeerIsTls"
  /** It was told why. */
  | "PeerRefused"
  /** Whatever else the TLS handshake can fail of. */
  | "TlsHandshakeFailed";

export class TlsError extends CutlineError<TlsCode> {}

/** What speaks against a peer. For both sides: it is logged here and told there. */
export interface TlsProblem {
  /** A {@link TlsCode}, or what the peer calls it. */
  readonly code: string;
  readonly message: string;
}
