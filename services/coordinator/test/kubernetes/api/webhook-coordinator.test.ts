import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { knowsNativeSidecars } from "@cutline/injection";
import { loadConfig, silentLogger } from "@cutline/runtime";
import { createCoordinator } from "../../../src/app.ts";
import { coordinatorConfig } from "../../../src/config.ts";
import { clientOf, kubeconfig } from "../support/cluster.ts";
import { ask, certified } from "../webhook/hook.ts";

it("a coordinator serves the webhook by its settings, for the version of its cluster", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "cutline-webhook-"));
  t.after(() => rm(folder, { recursive: true }));
  const certificate = certified();
  const files = { cert: join(folder, "tls.crt"), key: join(folder, "tls.key") };
  const { cert, key } = certificate.current();
  await writeFile(files.cert, cert);
  await writeFile(files.key, key);
  const loaded = loadConfig(coordinatorConfig, {
    CUTLINE_HTTP_PORT: "0",
    CUTLINE_AGENTS_PORT: "0",
    CUTLINE_STORE_URL: "file::memory:",
    CUTLINE_KUBERNETES_KUBECONFIG: kubeconfig(),
    CUTLINE_WEBHOOK: "true",
    CUTLINE_WEBHOOK_PORT: "0",
    CUTLINE_WEBHOOK_CERTIFICATE_FILE: files.cert,
    CUTLINE_WEBHOOK_KEY_FILE: files.key,
    CUTLINE_INJECTION_IMAGE: "registry.example/cutline:7",
  });
  if (loaded.outcome === "invalid") assert.fail(JSON.stringify(loaded.problems));
  const coordinator = createCoordinator(loaded.config, { logger: silentLogger });
  t.after(() => coordinator.stop());
  await coordinator.start();

  const pod = { metadata: {}, spec: { containers: [{ name: "a", image: "a", ports: [{ containerPort: 9000 }] }] } };
  const kind = { group: "", version: "v1", kind: "Pod" };
  const request = { uid: "u", kind, operation: "CREATE", namespace: "bank", object: pod };
  const review = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request };
  const url = `https://localhost:${coordinator.webhookPort}`;
  const { status, body } = await ask({ url, certificate }, "/inject", review);
  assert.equal(status, 200, body);
  const patch = Buffer.from(JSON.parse(body).response.patch, "base64").toString("utf8");
  assert.match(patch, /"image":"registry.example\/cutline:7"/);
  assert.doesNotMatch(patch, /CUTLINE_IDENTITY/, "this coordinator issues no certificates");

  const client = await clientOf();
  const version = await client.send<{ major: string; minor: string }>({ method: "GET", path: "/version" });
  client.close();
  assert.equal(/"restartPolicy":"Always"/.test(patch), knowsNativeSidecars(version));
});
