import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { createRequest } from "@cutline/certificates";
import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import { openCluster } from "../../../src/kubernetes/api/cluster.ts";
import { Issuance, type IssuanceOptions, type IssuanceOutcome } from "../../../src/kubernetes/identity/issuance.ts";
import { defaultIdentityLimits } from "../../../src/kubernetes/identity/limits.ts";
import { type LogLine, recorder } from "../../support/recorder.ts";
import { ApiProxy } from "../support/api-proxy.ts";
import { clientOf, kubeconfig, TestNamespace, until } from "../support/cluster.ts";
import { dayMs, keeperOf, type TestKeeper } from "../support/keepers.ts";
import { audience, createPod, createSecret, removePod, tokenOf } from "../support/pods.ts";

describe("certificates by the tokens of pods, as a real API server reviews them", () => {
  let client: KubeClient;
  let namespace: TestNamespace;
  let authority: TestKeeper;
  let pod: { readonly name: string; readonly uid: string };
  let token: string;
  const lines: LogLine[] = [];
  const { request: csr, key } = createRequest();

  before(async () => {
    client = await clientOf();
    namespace = await TestNamespace.open();
    await createSecret(client, namespace.name, "cutline-authority");
    authority = keeperOf(client, namespace.name);
    await authority.keeper.open();
    pod = { name: "east-0", ...(await createPod(client, namespace.name, "east-0")) };
    token = await tokenOf(client, namespace.name, { pod });
  });
  after(async () => {
    await namespace.close();
    client.close();
  });

  function issuance(changes: Partial<IssuanceOptions> = {}): Issuance {
    return new Issuance({
      client,
      keeper: authority.keeper,
      trustDomain: "cutline",
      audience,
      namespaces: [],
      limits: defaultIdentityLimits,
      nowMs: Date.now,
      logger: recorder(lines),
      ...changes,
    });
  }

  async function ask(asked: string, changes: Partial<IssuanceOptions> = {}, request = csr): Promise<IssuanceOutcome> {
    return await issuance(changes).issue({ token: asked, csr: request, address: "10.0.0.7:4000" });
  }

  async function refused(asked: string, changes?: Partial<IssuanceOptions>, request?: string) {
    const outcome = await ask(asked, changes, request);
    assert.ok(outcome.outcome === "refused", "it was issued");
    return outcome;
  }

  it("a token that is bound to a pod gets the pod's name, and nothing else", async () => {
    const outcome = await ask(token);
    assert.ok(outcome.outcome === "issued", JSON.stringify(outcome));
    const certificate = new X509Certificate(outcome.certificate);
    assert.equal(certificate.subjectAltName, `URI:spiffe://cutline/process/${namespace.name}/east-0`);
    assert.ok(certificate.checkPrivateKey(createPrivateKey(key)));
    assert.ok(certificate.verify(new X509Certificate(outcome.authorities).publicKey));
    assert.equal(certificate.ca, false);
    const leftMs = certificate.validToDate.getTime() - Date.now();
    assert.ok(leftMs > dayMs - 60_000 && leftMs <= dayMs, `it lives ${leftMs} ms`);
    const line = lines.find(({ message }) => message === "certificate issued");
    assert.equal(line?.fields.processId, `${namespace.name}/east-0`);
    assert.equal(line?.fields.podUid, pod.uid);
    assert.equal(line?.fields.serviceAccount, "default");
    assert.equal(line?.fields.serialNumber, certificate.serialNumber);
  });

  it("a token of the same account that is bound to no pod is refused, with what to do", async () => {
    const { code, message } = await refused(await tokenOf(client, namespace.name));
    assert.equal(code, "TokenNotBound");
    assert.match(message, /the token of system:serviceaccount:.*:default is not bound to a pod; use a projected/);
  });

  it("a token that is meant for somebody else is refused, the API server's own included", async () => {
    const other = await tokenOf(client, namespace.name, { pod, audiences: ["vault"] });
    assert.equal((await refused(other)).code, "TokenRefused");
    const account = await tokenOf(client, namespace.name, { pod, audiences: [] });
    assert.equal((await refused(account)).code, "TokenRefused");
  });

  it("what is no token is refused, and quoted nowhere", async () => {
    const [head, body] = token.split(".");
    for (const wrong of ["nonsense", `${head}.${body}.${Buffer.from("forged").toString("base64url")}`]) {
      const outcome = await refused(wrong);
      assert.equal(outcome.code, "TokenRefused");
      assert.ok(!JSON.stringify(outcome).includes(wrong));
    }
  });

  it("a pod that is gone gets nothing, as soon as the API server says so: no answer is remembered here", async () => {
    const gone = { name: "gone-0", ...(await createPod(client, namespace.name, "gone-0")) };
    const bound = await tokenOf(client, namespace.name, { pod: gone });
    const one = issuance({ limits: { ...defaultIdentityLimits, perPodMax: 100_000 } });
    const request = { token: bound, csr, address: "10.0.0.7:4000" };
    assert.equal((await one.issue(request)).outcome, "issued");
    await removePod(client, namespace.name, "gone-0");
    // The API server remembers for 10 s whom it has authenticated.
    await until("the refusal", async () => {
      const after = await one.issue(request);
      return after.outcome === "refused" && after.code === "TokenRefused";
    });
    // Another pod of the name is another pod: the old token does not speak for it.
    await createPod(client, namespace.name, "gone-0");
    assert.equal((await one.issue(request)).outcome, "refused");
  });

  it("only pods of the namespaces that are served get one", async () => {
    assert.equal((await ask(token, { namespaces: [namespace.name] })).outcome, "issued");
    const { code } = await refused(token, { namespaces: ["elsewhere"] });
    assert.equal(code, "NamespaceNotServed");
  });

  it("a request with another kind of key is refused, after the token", async () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pem = String(publicKey.export({ type: "spki", format: "pem" }));
    const { code, message } = await refused(token, {}, pem);
    assert.equal(code, "RequestInvalid");
    assert.match(message, /is no PEM text of one CERTIFICATE REQUEST/);
  });

  it("a pod that asks again and again is told to wait, and others are not", async () => {
    const one = issuance({ limits: { ...defaultIdentityLimits, perPodMax: 2 } });
    const request = { token, csr, address: "10.0.0.7:4000" };
    for (let count = 0; count < 2; count += 1) assert.equal((await one.issue(request)).outcome, "issued");
    const third = await one.issue(request);
    assert.ok(third.outcome === "refused");
    assert.equal(third.code, "TooManyCertificates");
    assert.ok((third.retryAfterMs ?? 0) > 500_000);
    const neighbour = { name: "west-0", ...(await createPod(client, namespace.name, "west-0")) };
    const other = await tokenOf(client, namespace.name, { pod: neighbour });
    assert.equal((await one.issue({ ...request, token: other })).outcome, "issued");
  });

  it("an API server that does not answer: nobody gets anything, and is told when to come back", async () => {
    const proxy = await ApiProxy.open(await openCluster(kubeconfig()));
    proxy.cut();
    const outcome = await refused(token, { client: await clientOf(proxy.cluster) });
    assert.equal(outcome.code, "KubernetesUnavailable");
    assert.ok((outcome.retryAfterMs ?? 0) > 0);
    proxy.close();
  });

  it("no line of the log has a token or a key", () => {
    const text = JSON.stringify([...lines, ...authority.lines]);
    assert.ok(!text.includes(token) && !text.includes("PRIVATE KEY") && !text.includes(token.split(".")[2] ?? "?"));
  });
});
