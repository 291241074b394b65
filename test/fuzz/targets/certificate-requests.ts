import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import {
  createRequest,
  issueCertificate,
  readRequest,
  signCertificate,
} from "../../../packages/certificates/src/index.ts";
import type { Random } from "../../../packages/simulator/src/engine/random.ts";
import { randomBytes } from "../engine/mutate.ts";
import { defaultTestExecutions, type Target } from "../engine/target.ts";

const beginning = "-----BEGIN CERTIFICATE REQUEST-----\n";
const ending = "\n-----END CERTIFICATE REQUEST-----\n";
/** Of the input: 0 is DER that is put into PEM, anything else text as it came. */
const [asDer, asText] = [0, 1];
const depthMax = 5;
const uri = "spiffe://mesh.example/process/bank/ledger";

/** Tags that requests are made of, and some that are none. */
const tags = [0x30, 0x31, 0x02, 0x03, 0x05, 0x06, 0x0c, 0x13, 0xa0, 0x80, 0x1f, 0x00, 0x24];

const samples = Array.from({ length: 4 }, () => createRequest().request);
const derOf = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64");
const authority = issueCertificate({
  kind: "authority",
  commonName: "fuzz",
  uris: ["spiffe://mesh.example"],
  fromMs: 0,
  untilMs: 4_000_000_000_000,
});

function element(random: Random, depth: number): Buffer {
  const tag = Buffer.of(random.pick(tags) ?? 0x30);
  const isDeeper = depth < depthMax && random.happens(0.7);
  const value = isDeeper
    ? Buffer.concat(Array.from({ length: random.below(4) }, () => element(random, depth + 1)))
    : randomBytes(random, random.below(40));
  return Buffer.concat([tag, lengthOf(value.length, random), value]);
}

/** Mostly the right one. */
function lengthOf(bytes: number, random: Random): Buffer {
  if (random.happens(0.05)) return Buffer.of(0x80);
  if (random.happens(0.05)) return Buffer.of(0x84, 0xff, 0xff, 0xff, random.below(256));
  if (random.happens(0.05)) return Buffer.of(0x88, 0x80, 0, 0, 0, 0, 0, 0, random.below(256));
  if (bytes < 0x80) return Buffer.of(bytes);
  return Buffer.of(0x82, bytes >> 8, bytes & 0xff);
}

/** Deeply one within another, which is what readers that call themselves fear. */
function nested(random: Random): Buffer {
  const inner = Buffer.alloc(2 * random.below(3_000));
  for (let at = 0; at < inner.length; at += 2) inner.writeUInt16BE(0x3080, at);
  return inner;
}

/**
 * `readRequest`: whatever comes is refused, or has a P-256 key, to which a certificate is issued that has the issuer's name
 * for it, and no other.
 */
export const target: Target = {
  name: "certificate-requests",
  testExecutions: defaultTestExecutions,
  samples: () => [
    ...samples.map((pem) => Buffer.concat([Buffer.of(asDer), derOf(pem)])),
    ...samples.map((pem) => Buffer.concat([Buffer.of(asText), Buffer.from(pem)])),
  ],
  generate(random) {
    if (random.happens(0.05)) return Buffer.concat([Buffer.of(asDer), nested(random)]);
    return Buffer.concat([Buffer.of(asDer), element(random, 0)]);
  },
  open: () => ({
    run(input) {
      const rest = input.subarray(1);
      const pem = input[0] === asDer ? `${beginning}${rest.toString("base64")}${ending}` : rest.toString("latin1");
      const read = readRequest(pem);
      if (read.outcome === "invalid") {
        assert.ok(read.message.length < 300, `the message has ${read.message.length} characters`);
        return;
      }
      assert.equal(read.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
      const { publicKey } = read;
      const term = { fromMs: 0, untilMs: 1_000_000 };
      const given = { kind: "peer", commonName: "bank/ledger", uris: [uri], ...term, issuer: authority } as const;
      const certificate = new X509Certificate(signCertificate(given, publicKey));
      assert.equal(certificate.subjectAltName, `URI:${uri}`);
      assert.equal(certificate.ca, false);
      assert.ok(certificate.verify(new X509Certificate(authority.certificate).publicKey));
    },
    close() {},
  }),
};
