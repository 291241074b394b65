import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { after, before, describe, it } from "node:test";
import type { TLSSocket } from "node:tls";
import { silentLogger } from "@cutline/runtime";
import { certificateOf, identity, mesh } from "@cutline/runtime/testing";
import type { IssuanceOutcome, IssuanceRequest } from "../../../src/kubernetes/identity/issuance.ts";
import { defaultIdentityLimits } from "../../../src/kubernetes/identity/limits.ts";
import { IdentityServer } from "../../../src/kubernetes/identity/server.ts";
import { sendSlowly, slowBeginnings } from "../../support/slow-sender.ts";

const own = await identity("coordinator");

describe("the port where certificates are issued", () => {
  let server: IdentityServer;
  let port: number;
  const asked: IssuanceRequest[] = [];
  let outcome: IssuanceOutcome;

  before(async () => {
    server = new IdentityServer({
      issuance: {
        issue: async (request) => {
          asked.push(request);
          return outcome;
        },
      },
      credentials: own.credentials,
      limits: defaultIdentityLimits,
      logger: silentLogger,
    });
    port = await server.listen("127.0.0.1", 0);
  });
  after(() => server.close());

  interface Answer {
    readonly status: number | undefined;
    readonly headers: IncomingMessage["headers"];
    readonly body: Record<string, unknown>;
    readonly serialNumber: string;
  }

  async function send(text: string, options: RequestOptions = {}): Promise<Answer> {
    return await new Promise((resolve, reject) => {
      const checkServerIdentity = () => undefined;
      const where = { host: "127.0.0.1", port, path: "/v1/certificates", method: "POST" };
      const tls = { ca: mesh.certificate, checkServerIdentity, agent: false };
      const sent = httpsRequest({ ...where, ...tls, ...options }, async (response) => {
        const { serialNumber } = (response.socket as TLSSocket).getPeerCertificate();
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk);
        const body = JSON.parse(Buffer.concat(chunks).toString());
        resolve({ status: response.statusCode, headers: response.headers, body, serialNumber });
      });
      sent.once("error", reject);
      sent.end(text);
    });
  }

  const good = JSON.stringify({ token: "abc.def", csr: "PEM" });

  it("gives what is issued, and nobody keeps it on the way", async () => {
    outcome = { outcome: "issued", certificate: "CERTIFICATE", authorities: "BUNDLE" };
    asked.length = 0;
    const { status, headers, body } = await send(good);
    assert.equal(status, 200);
    assert.deepEqual(body, { certificate: "CERTIFICATE", authorities: "BUNDLE" });
    assert.equal(headers["cache-control"], "no-store");
    assert.deepEqual(
      asked.map(({ token, csr }) => [token, csr]),
      [["abc.def", "PEM"]],
    );
    assert.match(asked[0]?.address ?? "", /^127\.0\.0\.1:\d+$/);
  });

  for (const [code, expected] of [
    ["TokenRefused", 401],
    ["TokenNotBound", 403],
    ["NamespaceNotServed", 403],
    ["RequestInvalid", 400],
    ["TooManyCertificates", 429],
    ["TooManyRequests", 503],
    ["KubernetesUnavailable", 503],
    ["AuthorityUnavailable", 503],
  ] as const) {
    it(`says ${expected} for ${code}, as a problem`, async () => {
      outcome = { outcome: "refused", code, message: "because", retryAfterMs: 1_500 };
      const { status, headers, body } = await send(good);
      assert.equal(status, expected);
      assert.match(String(headers["content-type"]), /^application\/problem\+json/);
      assert.equal(body.code, code);
      assert.equal(body.detail, "because");
      assert.equal(headers["retry-after"], "2");
      assert.equal(headers["www-authenticate"] !== undefined, expected === 401);
    });
  }

  for (const [what, text] of [
    ["no JSON", "{"],
    ["a list", "[]"],
    ["no token", '{"csr":"PEM"}'],
    ["a field too many, a name for one", '{"token":"abc","csr":"PEM","name":"shop/b"}'],
    ["a token with a line break", '{"token":"abc\\r\\nX: y","csr":"PEM"}'],
    ["an empty token", '{"token":"","csr":"PEM"}'],
    ["a number", '{"token":1,"csr":"PEM"}'],
  ] as const) {
    it(`refuses a body with ${what} before anybody is asked`, async () => {
      asked.length = 0;
      const { status, body } = await send(text);
      assert.equal(status, 400);
      assert.equal(body.code, "RequestInvalid");
      assert.deepEqual(asked, []);
    });
  }

  it("refuses a body that is too large", async () => {
    asked.length = 0;
    const { status } = await send(JSON.stringify({ token: "a".repeat(40_000), csr: "PEM" }));
    assert.equal(status, 413);
    assert.deepEqual(asked, []);
  });

  it("has nothing else", async () => {
    assert.equal((await send("", { path: "/" })).status, 404);
    const { status, headers } = await send("", { method: "GET" });
    assert.equal(status, 405);
    assert.equal(headers.allow, "POST");
  });

  it("shows the newest certificate", async () => {
    outcome = { outcome: "refused", code: "TokenRefused", message: "no" };
    const { serialNumber } = await send(good);
    await own.replace(certificateOf("coordinator"));
    assert.notEqual((await send(good)).serialNumber, serialNumber);
  });

  for (const [what, text] of Object.entries(slowBeginnings)) {
    it(`lets nobody hold a connection who sends ${what}`, { timeout: 15_000 }, async (t) => {
      const issuance = { issue: async () => assert.fail("nobody asks") };
      const limits = { ...defaultIdentityLimits, requestTimeoutMs: 300 };
      const strict = new IdentityServer({ issuance, credentials: own.credentials, limits, logger: silentLogger });
      t.after(() => strict.close());
      await sendSlowly(await strict.listen("127.0.0.1", 0), "/v1/certificates", text);
    });
  }

  it("speaks TLS 1.3 only", async () => {
    await assert.rejects(send(good, { maxVersion: "TLSv1.2" }));
  });
});
