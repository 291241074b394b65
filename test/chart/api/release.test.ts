import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Coordinator, coordinatorConfig, createCoordinator } from "@cutline/coordinator";
import { loadConfig, silentLogger } from "@cutline/runtime";
import { applyDefinitions, kubectl, Release, until } from "../support/cluster.ts";
import type { Manifest } from "../support/helm.ts";

/** The coordinator as its pod would be: the chart's variables and the rights of its account; its ports are others. */
async function coordinatorOf(release: Release): Promise<{ readonly coordinator: Coordinator; end(): Promise<void> }> {
  const { folder, server, remove } = await release.account();
  const { spec } = await release.get("deployment", "cutline-coordinator");
  const env: readonly { name: string; value?: string }[] = spec.template.spec.containers[0].env;
  const loaded = loadConfig(coordinatorConfig, {
    ...Object.fromEntries(env.map(({ name, value = "" }) => [name, value])),
    CUTLINE_STORE_URL: "file::memory:",
    CUTLINE_KUBERNETES_SERVER: server,
    CUTLINE_KUBERNETES_SERVICE_ACCOUNT_FOLDER: folder,
    ...Object.fromEntries(
      ["HTTP", "AGENTS", "IDENTITY", "WEBHOOK"].flatMap((port) => [
        [`CUTLINE_${port}_HOST`, "127.0.0.1"],
        [`CUTLINE_${port}_PORT`, "0"],
      ]),
    ),
  });
  assert.equal(loaded.outcome, "ok", JSON.stringify(loaded));
  const coordinator = createCoordinator(loaded.config, { logger: silentLogger });
  await coordinator.start();
  return {
    coordinator,
    async end() {
      await coordinator.stop();
      await remove();
    },
  };
}

const bundleOf = ({ webhooks }: Manifest): string | undefined => webhooks[0].clientConfig.caBundle;

describe("a release", () => {
  let release: Release;
  const configuration = () => release.get("mutatingwebhookconfiguration", `cutline-${release.namespace}`);
  const filled = async () => {
    const authority = (await release.get("secret", "cutline-authority")).data;
    const webhook = (await release.get("secret", "cutline-webhook")).data;
    const { holderIdentity } = (await release.get("lease", "cutline-coordinator")).spec ?? {};
    return { authority, webhook, bundle: bundleOf(await configuration()), holderIdentity };
  };

  before(async () => {
    await applyDefinitions();
    release = await Release.open();
  });
  after(() => release.close());

  it("is installed, and says what to do next", async () => {
    const said = await release.install({});
    assert.match(said, /kubectl -n cutline-chart-.* rollout status deployment\/cutline-coordinator/);
    assert.ok((await release.objects()).includes("Deployment/cutline-coordinator"));
    const { authority, webhook, bundle, holderIdentity } = await filled();
    assert.deepEqual([authority, webhook, bundle, holderIdentity], [undefined, undefined, undefined, undefined]);
  });

  it("lets the coordinator do its work, and gives it no right to make Secrets or Leases", async () => {
    const { coordinator, end } = await coordinatorOf(release);
    try {
      await until("the Secrets, the Lease and the webhook's bundle to be filled", async () => {
        const { authority, webhook, bundle, holderIdentity } = await filled();
        return [authority, webhook, bundle, holderIdentity].every((each) => each !== undefined && each !== "");
      });
      assert.equal((await fetch(`${coordinator.httpAddress}/readyz/replica`)).status, 200);
      assert.equal((await fetch(`${coordinator.httpAddress}/v1/snapshots`)).status, 401);
    } finally {
      await end();
    }
    const account = `system:serviceaccount:${release.namespace}:cutline-coordinator`;
    for (const right of ["create secrets", "list secrets", "get secrets/default", "create leases", "get pods"]) {
      // It ends with 1 for no.
      const said = await kubectl(
        "-n",
        release.namespace,
        "auth",
        "can-i",
        ...right.split(" "),
        `--as=${account}`,
      ).catch(({ stdout }) => String(stdout));
      assert.equal(said.trim(), "no", right);
    }
  });

  it("keeps through an upgrade what the coordinator has written, and Redis' password", async () => {
    const before = await filled();
    const password = (await release.get("secret", "cutline-redis")).data.password;
    await release.upgrade({ coordinator: { replicas: 3 }, injection: { timeoutSeconds: 5 }, commonLabels: { a: "b" } });
    assert.equal((await release.get("deployment", "cutline-coordinator")).spec.replicas, 3);
    assert.equal((await configuration()).webhooks[0].timeoutSeconds, 5);
    assert.equal((await release.get("secret", "cutline-authority")).metadata.labels?.a, "b");
    assert.deepEqual(await filled(), before);
    assert.equal((await release.get("secret", "cutline-redis")).data.password, password);
  });

  it("is upgraded to other choices and back, and what is off is gone", async () => {
    await release.upgrade({ externalRedis: { existingSecret: "other" }, injection: { enabled: false } });
    const objects = await release.objects();
    assert.deepEqual(
      objects.filter((name) => /redis|webhook/i.test(name)),
      [],
    );
    await assert.rejects(release.get("secret", "cutline-webhook"), /not found/);
    await release.upgrade({});
    assert.equal((await release.get("secret", "cutline-webhook")).data, undefined);
  });

  it("leaves nothing but the definitions when it is uninstalled", async () => {
    assert.ok((await release.remains()).length > 20);
    await release.uninstall();
    await until("everything to be gone", async () => (await release.remains()).length === 0);
    assert.match(await kubectl("get", "crd", "globalsnapshots.cutline.dev", "--output=name"), /globalsnapshots/);
  });
});
