import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { silentLogger } from "@cutline/runtime";
import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import { defaultIdentityLimits } from "../../../src/kubernetes/identity/limits.ts";
import { mintAuthority } from "../../../src/kubernetes/identity/mint.ts";
import { HeldCertificate } from "../../../src/kubernetes/identity/own-certificate.ts";
import { publishBundle } from "../../../src/kubernetes/identity/webhook-configuration.ts";
import { clientOf, TestNamespace, until } from "../support/cluster.ts";
import { Clock, dayMs, keeperOf, type TestKeeper } from "../support/keepers.ts";
import { createSecret } from "../support/pods.ts";

interface Configuration {
  readonly metadata: { readonly resourceVersion: string };
  readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
}

const configurations = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

/** A whole rotation in 18 s. */
const quick = { authorityLifeMs: 18_000, certificateLifeMs: 3_000, overlapMs: 0, marginMs: 1_000 };
const kind = { title: "the test", uri: undefined, lifeMs: quick.authorityLifeMs, skewMs: 60_000 };
const mintQuick = (nowMs: number) => mintAuthority(kind, nowMs);

describe("the certificate of a webhook, and the API server that calls it", () => {
  let client: KubeClient;
  let namespace: TestNamespace;
  let server: Server;
  let authority: TestKeeper;
  let certificate: HeldCertificate;
  let name: string;
  let calls = 0;

  before(async () => {
    client = await clientOf();
    namespace = await TestNamespace.open();
    name = namespace.name;
    await createSecret(client, namespace.name, "cutline-webhook");
    const publish = async (bundle: string) => void (await publishBundle(client, name, bundle));
    const limits = { ...defaultIdentityLimits, rereadMs: 200 };
    const more = { name: "cutline-webhook", uri: undefined, publish, policy: quick, limits, mint: mintQuick };
    await openServer();
    await openWebhook();
    authority = keeperOf(client, namespace.name, more);
    await authority.keeper.open();
    const dnsNames = [`cutline-webhook.${namespace.name}.svc`];
    certificate = new HeldCertificate({
      keeper: authority.keeper,
      subject: { commonName: dnsNames[0] ?? "", uris: [], dnsNames },
      skewMs: defaultIdentityLimits.skewMs,
      nowMs: Date.now,
      logger: silentLogger,
    });
    const use = () => server.setSecureContext(certificate.current());
    use();
    certificate.onChange(use);
  });
  after(async () => {
    await authority.keeper.stop();
    await client.send({ method: "DELETE", path: `${configurations}/${name}` });
    server.closeAllConnections();
    server.close();
    await namespace.close();
    client.close();
  });

  /** Lets everything pass. */
  async function openServer(): Promise<void> {
    server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const { apiVersion, kind, request: asked } = JSON.parse(Buffer.concat(chunks).toString());
      calls += 1;
      // Each call is a connection of its own, as after a restart of the webhook.
      response.writeHead(200, { "content-type": "application/json", connection: "close" });
      response.end(JSON.stringify({ apiVersion, kind, response: { uid: asked.uid, allowed: true } }));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }

  async function openWebhook(): Promise<void> {
    const { port } = server.address() as AddressInfo;
    await client.send({
      method: "POST",
      path: `/api/v1/namespaces/${namespace.name}/services`,
      body: { metadata: { name: "cutline-webhook" }, spec: { type: "ExternalName", externalName: "localhost" } },
    });
    const service = { name: "cutline-webhook", namespace: namespace.name, path: "/", port };
    const rules = [{ apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"], operations: ["CREATE"] }];
    const common = {
      clientConfig: { service },
      rules,
      sideEffects: "None",
      admissionReviewVersions: ["v1"],
      failurePolicy: "Fail",
      objectSelector: { matchLabels: { test: namespace.name } },
    };
    const webhooks = ["one", "two"].map((each) => ({ ...common, name: `${each}.${name}.cutline.dev` }));
    await client.send({ method: "POST", path: configurations, body: { metadata: { name }, webhooks } });
  }

  async function call(): Promise<void> {
    const metadata = { generateName: "call-", labels: { test: namespace.name } };
    await client.send({ method: "POST", path: `/api/v1/namespaces/${namespace.name}/configmaps`, body: { metadata } });
  }

  const read = () => client.send<Configuration>({ method: "GET", path: `${configurations}/${name}` });
  const bundles = async () =>
    (await read()).webhooks.map(({ clientConfig }) => Buffer.from(clientConfig.caBundle ?? "", "base64").toString());

  it("is believed: the bundle stands in every webhook, and a real call comes through", async () => {
    assert.deepEqual(await bundles(), [authority.keeper.bundle, authority.keeper.bundle]);
    // The API server learns of a configuration a moment later.
    await until("the first call", async () => {
      const before = calls;
      await call().catch(() => undefined); // Not believed yet: the webhook must not be passed over.
      return calls >= before + 2;
    });
  });

  it("is written only where it differs", async () => {
    const { metadata } = await read();
    assert.equal(await publishBundle(client, name, authority.keeper.bundle), "same");
    assert.equal((await read()).metadata.resourceVersion, metadata.resourceVersion);
    const body = [{ op: "remove", path: "/webhooks/1/clientConfig/caBundle" }];
    await client.send({ method: "PATCH", path: `${configurations}/${name}`, body });
    await authority.keeper.look();
    assert.deepEqual(await bundles(), [authority.keeper.bundle, authority.keeper.bundle]);
  });

  it("changes its authority while calls come, and none fails", async () => {
    const first = authority.keeper.issuing().issuer.certificate;
    const seen = new Set<number>();
    let made = 0;
    let dropped = false;
    // The API server judges by its own clock, so this rotation takes the time that it takes.
    authority.keeper.start();
    while (!dropped) {
      await call();
      made += 1;
      const [bundle = ""] = await bundles();
      seen.add(bundle.match(/BEGIN/g)?.length ?? 0);
      dropped = !bundle.includes(first);
    }
    assert.ok(seen.has(2), "the old one and the new one were believed together");
    assert.ok(calls >= made * 2 && made > 10, `${calls} calls of both webhooks for ${made} objects`);
  });

  it("waits with the next authority while the configuration cannot be written", async () => {
    const other = `${name}-other`;
    await createSecret(client, namespace.name, other);
    const publish = async () => {
      throw new Error("no such configuration");
    };
    const clock = new Clock();
    const { keeper } = keeperOf(client, namespace.name, { name: other, uri: undefined, nowMs: clock.nowMs, publish });
    await keeper.open();
    const { certificate: first } = keeper.issuing().issuer;
    clock.forward(250 * dayMs);
    await keeper.look();
    clock.forward(30 * dayMs);
    await keeper.look();
    assert.equal(keeper.issuing().issuer.certificate, first);
  });
});
