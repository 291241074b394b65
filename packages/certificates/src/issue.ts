import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";

export interface IssueOptions {
  /** `authority`: issues certificates for others. `peer`: for both ends of TLS. */
  readonly kind: "authority" | "peer";
  /** The subject's common name; at most 64 characters count, more are cut. */
  readonly commonName: string;
  readonly uris: readonly string[];
  readonly dnsNames?: readonly string[];
  /** Milliseconds since 1970; whole seconds are what a certificate can hold. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** Absent: it issues itself. */
  readonly issuer?: Issuer;
}

/** PEM. */
export interface Issuer {
  readonly certificate: string;
  readonly key: string;
}

/** PEM: X.509 version 3, and a PKCS#8 key without a passphrase. */
export interface IssuedCertificate {
  readonly certificate: string;
  readonly key: string;
}

const curve = "P-256";
const ecdsaWithSha256 = "1.2.840.10045.4.3.2";
const commonNameType = "2.5.4.3";
/** RFC 5280, ub-common-name. */
const commonNameCharsMax = 64;
/** RFC 5280 allows 20; 16 random ones cannot collide. */
const serialBytes = 16;

/** A new ECDSA P-256 key and its certificate. Throws when the issuer's PEM cannot be read. */
export function issueCertificate(options: IssueOptions): IssuedCertificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: curve });
  const issuer = options.issuer === undefined ? undefined : readIssuer(options.issuer);
  return {
    certificate: write(options, publicKey, issuer, issuer?.key ?? privateKey),
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
}

/** A certificate, as PEM, for somebody else's key. Throws when the issuer's PEM cannot be read. */
export function signCertificate(options: IssueOptions & { readonly issuer: Issuer }, publicKey: KeyObject): string {
  const issuer = readIssuer(options.issuer);
  return write(options, publicKey, issuer, issuer.key);
}

/** `issuer` absent: the key signs its own certificate. */
function write(options: IssueOptions, publicKey: KeyObject, issuer: ReadIssuer | undefined, key: KeyObject): string {
  const subject = nameOf(options.commonName.slice(0, commonNameCharsMax));
  const subjectKey = AsnConvert.parse(
    bufferOf(publicKey.export({ type: "spki", format: "der" })),
    SubjectPublicKeyInfo,
  );
  const subjectKeyId = keyIdOf(subjectKey);
  const signature = new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 });
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: newSerial(),
    signature,
    issuer: issuer?.name ?? subject,
    validity: new Validity({ notBefore: new Date(options.fromMs), notAfter: new Date(options.untilMs) }),
    subject,
    subjectPublicKeyInfo: subjectKey,
    extensions: new Extensions([
      ...usages(options.kind),
      extension(id_ce_subjectKeyIdentifier, false, new SubjectKeyIdentifier(subjectKeyId)),
      extension(
        id_ce_authorityKeyIdentifier,
        false,
        new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(issuer?.keyId ?? subjectKeyId) }),
      ),
      ...alternativeNames(options.uris, options.dnsNames ?? []),
    ]),
  });
  const signed = sign("sha256", Buffer.from(AsnConvert.serialize(tbsCertificate)), key);
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: signature,
    signatureValue: bufferOf(signed),
  });
  return new X509Certificate(Buffer.from(AsnConvert.serialize(certificate))).toString();
}

interface ReadIssuer {
  readonly name: Name;
  readonly keyId: ArrayBuffer;
  readonly key: KeyObject;
}

function readIssuer({ certificate, key }: Issuer): ReadIssuer {
  const { raw } = new X509Certificate(certificate);
  const { tbsCertificate } = AsnConvert.parse(bufferOf(raw), Certificate);
  return {
    name: tbsCertificate.subject,
    keyId: keyIdOf(tbsCertificate.subjectPublicKeyInfo),
    key: createPrivateKey(key),
  };
}

function usages(kind: IssueOptions["kind"]): Extension[] {
  if (kind === "authority") {
    return [
      // It issues to processes, and no further authorities.
      extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: true, pathLenConstraint: 0 })),
      extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)),
    ];
  }
  return [
    extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: false })),
    extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.digitalSignature)),
    extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage([id_kp_serverAuth, id_kp_clientAuth])),
  ];
}

function alternativeNames(uris: readonly string[], dnsNames: readonly string[]): Extension[] {
  const names = [
    ...uris.map((uniformResourceIdentifier) => new GeneralName({ uniformResourceIdentifier })),
    ...dnsNames.map((dNSName) => new GeneralName({ dNSName })),
  ];
  if (names.length === 0) return [];
  return [extension(id_ce_subjectAltName, false, new SubjectAlternativeName(names))];
}

function extension(extnID: string, critical: boolean, value: object): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function nameOf(commonName: string): Name {
  const value = new AttributeValue({ utf8String: commonName });
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: commonNameType, value })])]);
}

/** RFC 7093, method 1: the leftmost 160 bits of the key's SHA-256. */
function keyIdOf({ subjectPublicKey }: SubjectPublicKeyInfo): ArrayBuffer {
  return bufferOf(createHash("sha256").update(Buffer.from(subjectPublicKey)).digest().subarray(0, 20));
}

/** Positive, and never with a leading zero byte. */
function newSerial(): ArrayBuffer {
  const bytes = randomBytes(serialBytes);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bufferOf(bytes);
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
