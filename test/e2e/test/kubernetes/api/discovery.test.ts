import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { Rest, reservePort, Service, until } from "../../../src/index.ts";
import { hold, Load, openShop, reached, type Shop } from "../../shop.ts";
import { kubeconfig, TestNetwork } from "../support/network.ts";

/** Times that one pod comes and another one goes. */
const rounds = 4;
const suiteMsMax = 240_000;

interface Pod {
  readonly name: string;
  readonly shop: Shop;
  readonly agent: Service;
}

describe("pods that come and go under load", { timeout: suiteMsMax }, () => {
  let folder = "";
  let network: TestNetwork;
  let rest: Rest;
  let coordinatorAddress = "";
  const services: Service[] = [];
  const clients: grpc.Client[] = [];
  const shops: Shop[] = [];

  const start = async (name: string, program: string, environment: Record<string, string>, servesMessage: string) => {
    const logFile = join(folder, `${name}.log`);
    const service = await Service.start({ name, program, environment, logFile, servesMessage });
    services.push(service);
    return service;
  };

  /** As the webhook sets it up: it is told of no authorities. */
  const startAgent = (name: string, applicationPort: number) =>
    start(
      name,
      "services/agent/src/main.ts",
      {
        CUTLINE_PROCESS_ID: `${network.namespace}/${name}`,
        CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${applicationPort}`,
        CUTLINE_COORDINATOR_ADDRESS: coordinatorAddress,
        CUTLINE_OUTBOUND_PORT: "0",
        CUTLINE_INBOUND_PORT: "0",
        CUTLINE_LINK_PORT: "0",
        CUTLINE_ADMIN_PORT: "0",
      },
      "agent serves",
    );

  const dial = (agent: Service, authority: string) => {
    const client = new grpc.Client(`127.0.0.1:${agent.serves.outboundPort}`, grpc.credentials.createInsecure(), {
      "grpc.enable_http_proxy": 0,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.default_authority": authority,
    });
    clients.push(client);
    return client;
  };

  const open = async (name: string): Promise<Pod> => {
    const shop = await openShop();
    shops.push(shop);
    const pod = { name, shop, agent: await startAgent(name, shop.port) };
    await network.endpoint("shop", name, shop.port, "ready");
    return pod;
  };

  /** Calls of this agent's application that went past the mesh. */
  const passedBy = async (agent: Service) => {
    const page = await (await fetch(`http://127.0.0.1:${agent.serves.adminPort}/metrics`)).text();
    const counts = [...page.matchAll(/^cutline_environment_calls_total\{[^}]*\} (\d+)$/gm)];
    assert.equal(counts.length, 2, "inbound and outbound");
    return counts.reduce((sum, [, count]) => sum + Number(count), 0);
  };

  before(async () => {
    network = await TestNetwork.open();
    folder = await mkdtemp(join(tmpdir(), "cutline-discovery-"));
    const [http, agents] = [await reservePort(), await reservePort()];
    coordinatorAddress = `127.0.0.1:${agents}`;
    rest = new Rest(() => `http://127.0.0.1:${http}`);
    const environment = {
      CUTLINE_HTTP_PORT: String(http),
      CUTLINE_AGENTS_PORT: String(agents),
      CUTLINE_STORE_URL: `file:${join(folder, "coordinator.db")}`,
      CUTLINE_DISCOVERY: "true",
      CUTLINE_KUBERNETES_KUBECONFIG: kubeconfig(),
      CUTLINE_KUBERNETES_NAMESPACES: network.namespace,
    };
    await start("coordinator", "services/coordinator/src/main.ts", environment, "coordinator serves");
  });

  after(async () => {
    for (const client of clients) client.close();
    await Promise.all(services.reverse().map((service) => service.stop()));
    for (const { server } of shops) server.forceShutdown();
    await network.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("fails no call: they go to those that are there, by every name, and open ones finish", async () => {
    await network.service("shop", { ports: [{ port: 80, targetPort: 9000 }] });
    const alias = `shop.${network.namespace}.svc.cluster.local`;
    await network.service("old-shop", { type: "ExternalName", externalName: alias });
    const pods = [await open("shop-0"), await open("shop-1")];
    const caller = await startAgent("caller", 1);
    const authorities = [
      "shop:80",
      `shop.${network.namespace}:80`,
      `shop.${network.namespace}.svc:80`,
      `${alias}.:80`,
      "old-shop:80",
    ];
    const loads: Load[] = [];
    // Until it is found, a name is one of the environment, and nobody answers.
    for (const authority of authorities) loads.push(new Load(await reached(dial(caller, authority)), 2));
    const more = () => Promise.all(loads.map((load) => load.more(40)));
    await more();
    const before = await passedBy(caller);

    for (let round = 0; round < rounds; round += 1) {
      const coming = await open(`shop-${round + 2}`);
      await until(`calls that reach ${coming.name}`, () => (coming.shop.served > 0 ? "yes" : undefined));
      pods.push(coming);
      const going = pods.shift();
      assert.ok(going !== undefined);
      const held = await Promise.all(pods.concat(going).map(() => hold(dial(caller, "shop:80"))));
      await network.endpoint("shop", going.name, going.shop.port, "terminating");
      await until(`an end of new calls to ${going.name}`, async () => {
        const { served } = going.shop;
        await more();
        return going.shop.served === served ? "yes" : undefined;
      });
      for (const { stream } of held) stream.end(Buffer.from("last"));
      assert.deepEqual(
        await Promise.all(held.map(({ end }) => end)),
        held.map(() => grpc.status.OK),
        going.name,
      );
      assert.equal(await going.agent.stop(), "exit code 0");
      await network.removeEndpoint("shop", going.name);
      await more();
    }

    await Promise.all(loads.map((load) => load.stop()));
    assert.deepEqual(
      loads.flatMap(({ failures }) => failures),
      [],
    );
    assert.equal(await passedBy(caller), before, "every call went over a link");
    for (const { name, shop } of pods) assert.ok(shop.served > 0, `${name} got no calls`);
    const { discovery, processes } = await rest.topology();
    assert.equal(discovery?.phase, "known");
    assert.equal(processes.length, pods.length + 1);
  });
});
