import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { afterEach, before, beforeEach, describe, it } from "node:test";
import { createMetrics, type Metrics } from "@cutline/runtime";
import { nowMs } from "../../../src/driver/clock.ts";
import { createKubeClient, type KubeClient } from "../../../src/kubernetes/api/client.ts";
import { openCluster } from "../../../src/kubernetes/api/cluster.ts";
import { openPodCluster } from "../../../src/kubernetes/api/pod-cluster.ts";
import { Discovery } from "../../../src/kubernetes/discovery/discovery.ts";
import { defaultDiscoveryLimits } from "../../../src/kubernetes/discovery/limits.ts";
import { defaultControllerLimits } from "../../../src/kubernetes/limits.ts";
import { discoveryRules } from "../../../src/kubernetes/permissions.ts";
import type { FakeAgent } from "../../support/fake-agent.ts";
import { type LogLine, recorder } from "../../support/recorder.ts";
import { World } from "../../support/world.ts";
import { openAccount } from "../support/account.ts";
import { ApiProxy } from "../support/api-proxy.ts";
import { applyDefinitions, clientOf, kubeconfig, TestNamespace } from "../support/cluster.ts";
import { NetworkObjects } from "../support/network-objects.ts";

const suiteMsMax = 240_000;

describe("discovery", { timeout: suiteMsMax }, () => {
  let admin: KubeClient;
  let namespace: TestNamespace;
  let other: TestNamespace;
  let objects: NetworkObjects;
  let proxy: ApiProxy;
  let world: World;
  let metrics: Metrics;
  let lines: LogLine[];

  let folder: string;

  before(applyDefinitions);

  beforeEach(async () => {
    admin = await clientOf();
    namespace = await TestNamespace.open();
    other = await TestNamespace.open();
    objects = await NetworkObjects.open(admin, namespace.name);
    metrics = createMetrics();
    lines = [];
    // With the rights of discovery's own rules, in the one namespace.
    const account = await openAccount(admin, namespace, discoveryRules);
    folder = account.folder;
    const cluster = await openPodCluster(account.server, folder, nowMs);
    proxy = await ApiProxy.open({ ...cluster, server: (await openCluster(kubeconfig())).server });
  });

  afterEach(async () => {
    await world.stop();
    proxy.close();
    await namespace.close();
    await other.close();
    admin.close();
    await rm(folder, { recursive: true });
  });

  async function open(limits: { readonly firstPictureMsMax?: number } = {}): Promise<void> {
    const bounds = { requestTimeoutMs: 2_000, answerBytesMax: 1024 ** 2, userAgent: "test" };
    const discovery = new Discovery({
      client: createKubeClient({ cluster: proxy.cluster, ...bounds }),
      namespaces: [namespace.name],
      clusterDomain: "cluster.local",
      limits: {
        ...defaultControllerLimits,
        ...defaultDiscoveryLimits,
        backOffMsMin: 20,
        backOffMsMax: 200,
        watchSilenceMs: 1_500,
        debounceMs: 10,
        ...limits,
      },
      nowMs,
      random: Math.random,
      logger: recorder(lines),
      metrics,
    });
    world = await World.open({ discovery });
    await world.until("leadership", () => world.driver.term());
  }

  async function attach(pod: string, applicationPort = 9000): Promise<FakeAgent> {
    const agent = world.agent(`${namespace.name}/${pod}`);
    await agent.attach({ authorities: [`${pod}.declared:1`], applicationPort });
    return agent;
  }

  /** The authorities of the process in the newest directory that this agent has. */
  const authorities = (agent: FakeAgent, pod: string): readonly string[] => {
    const directories = agent.received.flatMap((body) => {
      if (body.$case === "directory") return body.value;
      return body.$case === "welcome" ? (body.value.directory ?? []) : [];
    });
    const process = directories.at(-1)?.processes.find(({ processId }) => processId === `${namespace.name}/${pod}`);
    return process?.authorities ?? [];
  };

  const leadsTo = async (agent: FakeAgent, pod: string, ...expected: string[]) => {
    const wanted = [`${pod}.declared:1`, ...expected].sort();
    await world.until(`${wanted} lead to ${pod}`, () =>
      JSON.stringify([...authorities(agent, pod)].sort()) === JSON.stringify(wanted) ? true : undefined,
    );
  };
  const name = (service: string, port: number) => `${service}.${namespace.name}.svc.cluster.local:${port}`;
  const one = { ports: [{ port: 80, targetPort: 9000 }] };

  it("does not lead the calls of a Service to a process of another namespace that declares its name", async () => {
    await open();
    await objects.createService("bank", one);
    const thief = world.agent("thief/bank-0");
    const [full, bare] = [name("bank", 80), "bank:80"];
    const declared = (agent: FakeAgent) => {
      const directory = agent.received.findLast((body) => body.$case === "directory");
      const processes = directory?.$case === "directory" ? directory.value.processes : [];
      return processes.find(({ processId }) => processId === "thief/bank-0")?.authorities;
    };
    const link = "10.1.0.66:15008";
    await thief.attach({ authorities: [full, bare, "10.96.0.7:80", "free.example:1"], linkAddress: link });
    await world.until("what it may have", () => (declared(thief)?.join() === "free.example:1" ? true : undefined));
    await objects.removeService("bank");
    await world.until("a name that is nobody's", () => (declared(thief)?.includes(bare) ? true : undefined));
    assert.deepEqual(declared(thief), [bare, "free.example:1"]);
    await objects.createService("bank", one);
    await world.until("its owner's name again", () =>
      declared(thief)?.join() === "free.example:1" ? true : undefined,
    );
    assert.ok(
      lines.some(({ message, fields }) => message.includes("do not count") && fields.processId === "thief/bank-0"),
    );
  });

  it("pushes what Services say beside what agents say, with its own rules, while pods come and go", async () => {
    await open();
    const agent = await attach("bank-0");
    await leadsTo(agent, "bank-0");
    const address = await objects.createService("bank", one);
    await objects.createSlice("bank", "bank-0", 9000);
    await leadsTo(agent, "bank-0", name("bank", 80), `${address}:80`);
    await attach("bank-1", 9001);
    await objects.createSlice("bank", "bank-1", 9001);
    await leadsTo(agent, "bank-1", name("bank", 80), `${address}:80`);
    await objects.setConditions("bank", "bank-0", { ready: false });
    await leadsTo(agent, "bank-0");
    await objects.setConditions("bank", "bank-0", { ready: true });
    await leadsTo(agent, "bank-0", name("bank", 80), `${address}:80`);
    await objects.removeSlice("bank", "bank-1");
    await leadsTo(agent, "bank-1");
    await objects.createService("pods", { ...one, clusterIP: "None" });
    await objects.createSlice("pods", "bank-1", 9001);
    await leadsTo(agent, "bank-1", name("pods", 9001), name("bank-1.pods", 9001));
    await objects.removeService("bank");
    await leadsTo(agent, "bank-0");
    const directory = agent.received.findLast((body) => body.$case === "directory");
    assert.equal(directory?.$case === "directory" && directory.value.clusterDomain, "cluster.local");
    const process = world.driver.topology().processes.find(({ id }) => id === `${namespace.name}/bank-1`);
    assert.ok(process?.authorities.includes(name("pods", 9001)), "the topology shows the same");
    assert.deepEqual(
      lines.filter(({ fields }) => String(fields.error).includes("forbidden")),
      [],
    );
  });

  it("reads only the namespaces it is to read", async () => {
    await open();
    const agent = await attach("bank-0");
    const elsewhere = await NetworkObjects.open(admin, other.name);
    await elsewhere.createService("bank", one);
    await objects.createService("bank", one);
    await objects.createSlice("bank", "bank-0", 9000);
    await world.until("the Service", () => (authorities(agent, "bank-0").length === 3 ? true : undefined));
    assert.equal(world.driver.topology().discovery?.services, 1);
  });

  it("keeps the directory back until it has a picture, so that none goes out without the Services", async () => {
    await objects.createService("bank", one);
    await objects.createSlice("bank", "bank-0", 9000);
    proxy.cut();
    await open();
    const agent = world.agent(`${namespace.name}/bank-0`);
    const welcome = await agent.attach({ authorities: [], applicationPort: 9000 });
    assert.equal(welcome.directory, undefined);
    assert.equal(world.driver.topology().discovery?.phase, "waiting");
    proxy.restore();
    await world.until("a directory", () => agent.received.find((body) => body.$case === "directory"));
    const first = agent.received.find((body) => body.$case === "directory");
    assert.ok(first?.$case === "directory" && first.value.processes[0]?.authorities.includes(name("bank", 80)));
    assert.equal(world.driver.topology().discovery?.phase, "known");
  });

  it("stops while it still waits for the API server", async () => {
    proxy.cut();
    await open();
    await world.stop();
    assert.equal(
      lines.some(({ message }) => message.startsWith("the API of EndpointSlices")),
      true,
      world.log(),
    );
  });

  it("does not keep it back for ever", async () => {
    proxy.cut();
    await open({ firstPictureMsMax: 300 });
    const agent = world.agent(`${namespace.name}/bank-0`);
    await agent.attach({ authorities: ["bank-0.declared:1"], applicationPort: 9000 });
    await leadsTo(agent, "bank-0");
    proxy.restore();
    await objects.createService("bank", one);
    await objects.createSlice("bank", "bank-0", 9000);
    await world.until("the Service", () => (authorities(agent, "bank-0").length === 3 ? true : undefined));
  });

  it("keeps its last picture while the API server is away, says its age, and catches up", async () => {
    await open();
    const agent = await attach("bank-0");
    const address = await objects.createService("bank", one);
    await objects.createSlice("bank", "bank-0", 9000);
    await leadsTo(agent, "bank-0", name("bank", 80), `${address}:80`);
    proxy.cut();
    await objects.removeSlice("bank", "bank-0");
    await attach("bank-1", 9001);
    await objects.createSlice("bank", "bank-1", 9001);
    await world.until("an age of a second", () =>
      (world.driver.topology().discovery?.ageMs ?? 0) > 1_000 ? true : undefined,
    );
    const shown = /^cutline_discovery_age_seconds (\S+)/m.exec(await metrics.render())?.[1];
    assert.ok(Number(shown) > 1, `the metric says ${shown}`);
    assert.equal(world.driver.topology().discovery?.phase, "known");
    assert.equal(authorities(agent, "bank-0").length, 3, "the last picture");
    assert.equal(authorities(agent, "bank-1").length, 1, "the last picture");
    proxy.restore();
    await leadsTo(agent, "bank-0");
    await leadsTo(agent, "bank-1", name("bank", 80), `${address}:80`);
  });

  it("hears again after its connections died in silence", async () => {
    await open();
    const agent = await attach("bank-0");
    await objects.createService("bank", one);
    await world.until("the Service", () => (world.driver.topology().discovery?.services === 1 ? true : undefined));
    proxy.freeze();
    await objects.createSlice("bank", "bank-0", 9000);
    await world.until("the slice", () => (authorities(agent, "bank-0").length === 3 ? true : undefined));
  });
});
