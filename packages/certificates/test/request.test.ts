import assert from "node:assert/strict";
import { createHash, createPrivateKey, generateKeyPairSync, sign, X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createRequest, issueCertificate, readRequest, signCertificate } from "../src/index.ts";

const nowMs = Date.parse("2026-11-23T12:00:00Z");

function der(pem: string): Buffer {
  return Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
}

function pem(bytes: Uint8Array): string {
  const body = Buffer.from(bytes).toString("base64");
  return `-----BEGIN CERTIFICATE REQUEST-----\n${body}\n-----END CERTIFICATE REQUEST-----\n`;
}

/** A SEQUENCE (or what `tag` says) of these parts, as DER; short enough for two length bytes. */
function tlv(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const oids = {
  ecdsaWithSha256: "2a8648ce3d040302",
  ecdsaWithSha1: "2a8648ce3d0401",
  rsaWithSha256: "2a864886f70d01010b",
};

/** A request by hand, with any key and any algorithm. */
function handmade(keys: ReturnType<typeof generateKeyPairSync>, oid: string, digest: string): string {
  const { publicKey, privateKey } = keys as unknown as ReturnType<typeof ecKeys>;
  const spki = publicKey.export({ type: "spki", format: "der" });
  const info = tlv(0x30, Buffer.from([2, 1, 0]), tlv(0x30), spki, tlv(0xa0));
  const signature = sign(digest, info, privateKey);
  const algorithm = tlv(0x30, tlv(0x06, Buffer.from(oid, "hex")));
  return pem(tlv(0x30, info, algorithm, tlv(0x03, Buffer.from([0]), signature)));
}

function ecKeys(namedCurve = "P-256") {
  return generateKeyPairSync("ec", { namedCurve });
}

describe("a certificate request", () => {
  it("is read, and a certificate for its key is issued that the sender's key fits", () => {
    const authority = issueCertificate({
      kind: "authority",
      commonName: "authority",
      uris: ["spiffe://cutline"],
      fromMs: nowMs,
      untilMs: nowMs + 1_000_000,
    });
    const { request, key } = createRequest();
    const read = readRequest(request);
    assert.ok(read.outcome === "ok");
    const uris = ["spiffe://cutline/process/shop/a"];
    const signed = signCertificate(
      { kind: "peer", commonName: "shop/a", uris, fromMs: nowMs, untilMs: nowMs + 60_000, issuer: authority },
      read.publicKey,
    );
    const certificate = new X509Certificate(signed);
    assert.equal(certificate.subjectAltName, "URI:spiffe://cutline/process/shop/a");
    assert.ok(certificate.checkPrivateKey(createPrivateKey(key)));
    const issuer = new X509Certificate(authority.certificate);
    assert.ok(certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey));
    assert.equal(certificate.ca, false);
  });

  it("has a key of its own each time", () => {
    const digests = new Set([1, 2, 3].map(() => createHash("sha256").update(createRequest().key).digest("hex")));
    assert.equal(digests.size, 3);
  });

  it("by hand is read as well, with a P-256 key and SHA-256", () => {
    assert.equal(readRequest(handmade(ecKeys(), oids.ecdsaWithSha256, "sha256")).outcome, "ok");
  });

  for (const [what, text, message] of [
    ["another curve", handmade(ecKeys("P-384"), oids.ecdsaWithSha256, "sha256"), /ec secp384r1; only ECDSA P-256/],
    [
      "an RSA key",
      handmade(generateKeyPairSync("rsa", { modulusLength: 2048 }), oids.rsaWithSha256, "sha256"),
      /rsa; only/,
    ],
    ["a weak hash", handmade(ecKeys(), oids.ecdsaWithSha1, "sha1"), /is signed with 1\.2\.840\.10045\.4\.1; only/],
    ["no PEM", "hello", /is no PEM text/],
    [
      "another PEM",
      issueCertificate({ kind: "peer", commonName: "x", uris: [], fromMs: nowMs, untilMs: nowMs + 1_000 }).certificate,
      /is no PEM text/,
    ],
    ["two requests", createRequest().request + createRequest().request, /is no PEM text/],
    ["nothing inside", pem(Buffer.from([0x30, 0])), /is no PKCS#10 request/],
    ["too much", pem(Buffer.alloc(9_000)), /has more than 8192 characters/],
  ] as const) {
    it(`with ${what} is refused with the reason`, () => {
      const read = readRequest(text);
      assert.ok(read.outcome === "invalid");
      assert.match(read.message, message);
    });
  }

  it("that is signed with another key than its own is refused", () => {
    const { publicKey } = ecKeys();
    const { privateKey } = ecKeys();
    const stolen = { publicKey, privateKey } as unknown as ReturnType<typeof generateKeyPairSync>;
    const read = readRequest(handmade(stolen, oids.ecdsaWithSha256, "sha256"));
    assert.deepEqual(read, {
      outcome: "invalid",
      message: "the certificate request is not signed with the key that it names",
    });
  });

  it("with any byte changed is refused, or is of the same key; and never throws", () => {
    const bytes = der(createRequest().request);
    const original = readRequest(pem(bytes));
    assert.ok(original.outcome === "ok");
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ change;
        const read = readRequest(pem(changed));
        // A length beyond the signed part may be read leniently; what is signed may not.
        assert.ok(read.outcome === "invalid" || read.publicKey.equals(original.publicKey));
      }),
    );
  });

  it("of any bytes never throws", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => readRequest(pem(bytes)).outcome === "invalid"));
  });
});
