import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import {
  AsnConvert,
  AsnIntegerArrayBufferConverter,
  AsnProp,
  AsnPropTypes,
  AsnType,
  AsnTypeTypes,
} from "@peculiar/asn1-schema";
import { AlgorithmIdentifier, Attribute, Name, SubjectPublicKeyInfo } from "@peculiar/asn1-x509";

/** PEM: a PKCS#10 request, and the PKCS#8 key that it is signed with. */
export interface CertificateRequest {
  readonly request: string;
  readonly key: string;
}

export type RequestOutcome =
  /** The sender has the private key of `publicKey`, which is an ECDSA P-256 key. */
  { readonly outcome: "ok"; readonly publicKey: KeyObject } | { readonly outcome: "invalid"; readonly message: string };

const ecdsaWithSha256 = "1.2.840.10045.4.3.2";
const requestBytesMax = 8 * 1024;
const beginning = "-----BEGIN CERTIFICATE REQUEST-----";
const ending = "-----END CERTIFICATE REQUEST-----";
const lineChars = 64;

/** RFC 2986. */
class RequestInfo {
  version: ArrayBuffer = new ArrayBuffer(1);
  subject: Name = new Name();
  subjectPublicKeyInfo: SubjectPublicKeyInfo = new SubjectPublicKeyInfo();
  attributes: Attribute[] = [];
}

class Request {
  info: RequestInfo = new RequestInfo();
  /** The bytes of `info` as they came: what the signature is of. */
  infoRaw: Uint8Array = new Uint8Array(0);
  signatureAlgorithm: AlgorithmIdentifier = new AlgorithmIdentifier();
  signature: ArrayBuffer = new ArrayBuffer(0);
}

// Decorators are no part of the language that is only stripped of its types, so they are called.
AsnType({ type: AsnTypeTypes.Sequence })(RequestInfo);
AsnProp({ type: AsnPropTypes.Integer, converter: AsnIntegerArrayBufferConverter })(RequestInfo.prototype, "version");
AsnProp({ type: Name })(RequestInfo.prototype, "subject");
AsnProp({ type: SubjectPublicKeyInfo })(RequestInfo.prototype, "subjectPublicKeyInfo");
AsnProp({ type: Attribute, repeated: "set", context: 0, implicit: true })(RequestInfo.prototype, "attributes");
AsnType({ type: AsnTypeTypes.Sequence })(Request);
AsnProp({ type: RequestInfo, raw: true })(Request.prototype, "info");
AsnProp({ type: AlgorithmIdentifier })(Request.prototype, "signatureAlgorithm");
AsnProp({ type: AsnPropTypes.BitString })(Request.prototype, "signature");

/** A new ECDSA P-256 key and a request for a certificate of it. It names nobody: who issues knows who asks. */
export function createRequest(): CertificateRequest {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const request = new Request();
  const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
  request.info.subjectPublicKeyInfo = AsnConvert.parse(spki, SubjectPublicKeyInfo);
  request.signatureAlgorithm = new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 });
  const signed = sign("sha256", Buffer.from(AsnConvert.serialize(request.info)), privateKey);
  request.signature = new Uint8Array(signed).buffer;
  const text = Buffer.from(AsnConvert.serialize(request)).toString("base64");
  const lines = text.match(new RegExp(`.{1,${lineChars}}`, "g")) ?? [];
  return {
    request: `${[beginning, ...lines, ending].join("\n")}\n`,
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
}

/**
 * Reads a PKCS#10 request in PEM form and checks its signature. Only ECDSA P-256 with SHA-256 is taken. Names and
 * extensions that it asks for are not looked at. Never throws.
 */
export function readRequest(pem: string): RequestOutcome {
  const text = pem.trim();
  if (text.length > requestBytesMax) return invalid(`has more than ${requestBytesMax} characters`);
  const body = text.startsWith(beginning) && text.endsWith(ending) ? text.slice(beginning.length, -ending.length) : "";
  if (!/^[A-Za-z0-9+/=\s]+$/.test(body)) return invalid("is no PEM text of one CERTIFICATE REQUEST");
  const bytes = Buffer.from(body, "base64");
  let request: Request;
  let publicKey: KeyObject;
  try {
    request = AsnConvert.parse(new Uint8Array(bytes), Request);
    const key = Buffer.from(AsnConvert.serialize(request.info.subjectPublicKeyInfo));
    publicKey = createPublicKey({ key, format: "der", type: "spki" });
  } catch {
    // What a parser says of a stranger's bytes helps nobody.
    return invalid("is no PKCS#10 request with a public key");
  }
  const { namedCurve } = publicKey.asymmetricKeyDetails ?? {};
  if (publicKey.asymmetricKeyType !== "ec" || namedCurve !== "prime256v1") {
    const kind = [publicKey.asymmetricKeyType, namedCurve].filter((part) => part !== undefined).join(" ");
    return invalid(`has a key of the kind ${kind}; only ECDSA P-256 is taken`);
  }
  const { algorithm } = request.signatureAlgorithm;
  if (algorithm !== ecdsaWithSha256) return invalid(`is signed with ${algorithm}; only ECDSA with SHA-256 is taken`);
  const isSigned = verify("sha256", request.infoRaw, publicKey, Buffer.from(request.signature));
  return isSigned ? { outcome: "ok", publicKey } : invalid("is not signed with the key that it names");
}

function invalid(message: string): RequestOutcome {
  return { outcome: "invalid", message: `the certificate request ${message}` };
}
