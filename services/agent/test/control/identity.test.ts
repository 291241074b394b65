import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { silentLogger, TlsCredentials } from "@cutline/runtime";
import { authority, certificateOf, mesh } from "@cutline/runtime/testing";
import { type Asked, identityOf, issued, TestIssuer } from "./support/issuer.ts";

const never = new AbortController().signal;
const self = { kind: "process", processId: "shop/a" } as const;

const certificateIn = async (folder: string) => new X509Certificate(await readFile(join(folder, "certificate.pem")));

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!(await holds())) {
    assert.ok(performance.now() < endMs, `waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("an agent that asks for its certificate", () => {
  it("has three files that fit together, for itself alone, and that its TLS takes", async () => {
    const issuer = await TestIssuer.open();
    const { identity, folder } = await identityOf(issuer.url);
    await identity.open(never);
    const certificate = await certificateIn(folder);
    assert.equal(certificate.subjectAltName, "URI:spiffe://cutline/process/shop/a");
    assert.ok(certificate.checkPrivateKey(createPrivateKey(await readFile(join(folder, "key.pem")))));
    for (const name of ["certificate.pem", "key.pem", "authorities.pem"]) {
      assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600, name);
    }
    assert.deepEqual((await readdir(folder)).sort(), ["authorities.pem", "certificate.pem", "key.pem", "token"]);
    const options = { ...identity.source, self, reloadIntervalMs: 60_000, nowMs: Date.now, logger: silentLogger };
    assert.equal((await TlsCredentials.open(options)).current.certificate.serialNumber, certificate.serialNumber);
    assert.equal(issuer.asked[0]?.token, "first-token");
  });

  for (const [what, identity, reason] of [
    ["of another mesh", certificateOf("coordinator", { issuer: authority() }), /not believed \(CertificateForeign\)/],
    ["of a process", certificateOf("shop/b"), /not believed \(CertificateNameWrong\)/],
    ["that has expired", certificateOf("coordinator", { fromMs: 0, untilMs: 1_000_000 }), /CertificateExpired/],
  ] as const) {
    it(`shows its token to nobody ${what}`, async () => {
      const issuer = await TestIssuer.open(identity);
      const { identity: one, log } = await identityOf(issuer.url, { waitMs: 0 });
      await assert.rejects(one.open(never), { code: "IdentityUnavailable", message: reason });
      assert.deepEqual(issuer.asked, []);
      assert.ok(!JSON.stringify(log).includes("first-token"));
    });
  }

  for (const [what, answer, reason] of [
    [
      "for another process",
      (asked: Asked) => issued(asked, "shop/b"),
      /is that of process shop\/b, and this is process shop\/a/,
    ],
    ["that has expired", (asked: Asked) => issued(asked, "shop/a", { untilMs: Date.now() - 1_000 }), /expired at/],
    [
      "that begins later",
      (asked: Asked) => issued(asked, "shop/a", { fromMs: Date.now() + 60_000 }),
      /set the clock right/,
    ],
    [
      "for another key",
      () => ({
        status: 200,
        body: { certificate: certificateOf("shop/a").certificate, authorities: mesh.certificate },
      }),
      /is not that of the certificate/,
    ],
    [
      "with another mesh's authorities",
      (asked: Asked) => issued(asked, "shop/a", { authorities: authority("other").certificate }),
      /another mesh/,
    ],
    ["without authorities", (asked: Asked) => issued(asked, "shop/a", { authorities: "" }), /not those of one mesh/],
    ["that is none", () => ({ status: 200, body: { certificate: "none" } }), /is none of a coordinator/],
  ] as const) {
    it(`takes no certificate ${what}, and leaves the files as they are`, async () => {
      const issuer = await TestIssuer.open();
      issuer.answer = answer;
      const { identity, folder } = await identityOf(issuer.url, { waitMs: 0 });
      await assert.rejects(identity.open(never), { code: "IdentityUnavailable", message: reason });
      assert.deepEqual(await readdir(folder), ["token"]);
      assert.match(identity.failure ?? "", reason);
    });
  }

  it("tries again until it gets one, with the token as it is then, and says each time why not", async () => {
    const issuer = await TestIssuer.open();
    const body = { code: "KubernetesUnavailable", detail: "the API server does not answer" };
    issuer.answer = (asked) => (asked.token === "next-token" ? issued(asked) : { status: 503, body });
    const { identity, tokenFile, log } = await identityOf(issuer.url);
    const opening = identity.open(never);
    await until("three failures", () => issuer.asked.length >= 3);
    // As the kubelet does it: never half written.
    await writeFile(`${tokenFile}.new`, "next-token\n");
    await rename(`${tokenFile}.new`, tokenFile);
    await opening;
    assert.equal(identity.failure, undefined);
    assert.equal(issuer.asked.at(-1)?.token, "next-token");
    const warnings = log.filter(({ message }) => message === "no certificate obtained; it is tried again");
    assert.equal(warnings.length, issuer.asked.length - 1);
    assert.match(String(warnings[0]?.fields.reason), /gives no certificate \(KubernetesUnavailable\): the API server/);
  });

  it("ends the waiting when it is told to", async (t) => {
    const listener = createServer((socket) => t.after(() => socket.destroy())).listen(0, "127.0.0.1");
    t.after(() => listener.close());
    await once(listener, "listening");
    const { port } = listener.address() as { port: number };
    const stop = new AbortController();
    const limits = { requestTimeoutMs: 50 };
    const { identity } = await identityOf(new URL(`https://127.0.0.1:${port}`), { limits });
    const opening = identity.open(stop.signal);
    await until("a failure", () => identity.failure !== undefined);
    stop.abort();
    await assert.rejects(opening, { name: "AbortError" });
  });

  it("uses what it finds after a restart of its container, though nobody issues", async () => {
    const issuer = await TestIssuer.open();
    const { identity, folder } = await identityOf(issuer.url);
    await identity.open(never);
    issuer.close();
    const again = await identityOf(issuer.url, { folder, waitMs: 0, firstAuthorities: undefined });
    await again.identity.open(never);
    assert.equal(issuer.asked.length, 1);
  });

  it("asks anew when what it finds does not fit, as after a crash between two files", async () => {
    const issuer = await TestIssuer.open();
    const { identity, folder } = await identityOf(issuer.url);
    await identity.open(never);
    await writeFile(join(folder, "key.pem"), certificateOf("shop/a").key);
    await (await identityOf(issuer.url, { folder })).identity.open(never);
    assert.equal(issuer.asked.length, 2);
  });

  it("is not started without anybody to believe", async () => {
    const { identity } = await identityOf(new URL("https://127.0.0.1:1"), { firstAuthorities: undefined });
    await assert.rejects(identity.open(never), { code: "IdentityInvalid", message: /CUTLINE_IDENTITY_AUTHORITIES/ });
  });
});

describe("the renewal of a certificate", () => {
  it("comes at two thirds of its life or a little before, again and again, with new keys", async () => {
    const issuer = await TestIssuer.open();
    issuer.answer = (asked) => issued(asked, "shop/a", { untilMs: Math.floor(Date.now() / 1_000) * 1_000 + 3_000 });
    const { identity, folder } = await identityOf(issuer.url);
    const times: number[] = [];
    await identity.open(never);
    const first = await certificateIn(folder);
    const leftMs = first.validToDate.getTime() - Date.now();
    const beganMs = Date.now();
    identity.start(() => times.push(Date.now()));
    await until("two renewals", () => times.length >= 2);
    const share = ((times[0] ?? 0) - beganMs) / leftMs;
    assert.ok(share > 0.56, `renewed at ${share} of its life`);
    assert.ok(!(await certificateIn(folder)).publicKey.equals(first.publicKey));
  });

  it("believes those of the newest bundle, and no longer those that are not in it", async () => {
    const next = authority();
    const issuer = await TestIssuer.open(certificateOf("coordinator"));
    issuer.answer = (asked) =>
      issued(asked, "shop/a", {
        issuer: next,
        authorities: next.certificate,
        untilMs: Math.ceil(Date.now() / 1_000) * 1_000 + 1_000,
      });
    const { identity, folder, log } = await identityOf(issuer.url);
    await identity.open(never);
    identity.start(() => undefined);
    await until("a refusal", () => log.some(({ fields }) => /CertificateForeign/.test(String(fields.reason))));
    assert.equal(issuer.asked.length, 1, "the coordinator that was believed at first gets no token any more");
    assert.equal(await readFile(join(folder, "authorities.pem"), "utf8"), next.certificate);
  });

  it("is tried again when it fails, and the old files stay", async () => {
    const issuer = await TestIssuer.open();
    const untilMs = () => Math.ceil(Date.now() / 1_000) * 1_000 + 1_000;
    issuer.answer = (asked) => issued(asked, "shop/a", { untilMs: untilMs() });
    const { identity, folder } = await identityOf(issuer.url);
    await identity.open(never);
    const { serialNumber } = await certificateIn(folder);
    let failures = 0;
    issuer.answer = (asked) => {
      failures += 1;
      return failures <= 3 ? { status: 403, body: { code: "TokenNotBound", detail: "no" } } : issued(asked);
    };
    let renewed = false;
    identity.start(() => {
      renewed = true;
    });
    await until("the third failure", () => failures >= 3);
    assert.equal((await certificateIn(folder)).serialNumber, serialNumber);
    await until("the renewal", () => renewed);
    assert.notEqual((await certificateIn(folder)).serialNumber, serialNumber);
  });
});
