import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterEach, beforeEach, describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { Rest, reservePort, Service, until } from "../src/index.ts";
import { hold, Load, openShop, reached, type Shop } from "./shop.ts";

/** What is under test: an agent that is told to stop while calls are made through it. */
const authority = "shop.drain:9000";

describe("an agent that is told to stop", () => {
  let folder = "";
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
  const startAgent = (name: string, applicationPort: number, more: Record<string, string> = {}) =>
    start(
      name,
      "services/agent/src/main.ts",
      {
        CUTLINE_PROCESS_ID: `drain/${name}`,
        CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${applicationPort}`,
        CUTLINE_COORDINATOR_ADDRESS: coordinatorAddress,
        CUTLINE_OUTBOUND_PORT: "0",
        CUTLINE_INBOUND_PORT: "0",
        CUTLINE_LINK_PORT: "0",
        CUTLINE_ADMIN_PORT: "0",
        ...more,
      },
      "agent serves",
    );
  const dial = (target: string, options: grpc.ClientOptions = {}) => {
    const client = new grpc.Client(target, grpc.credentials.createInsecure(), {
      "grpc.enable_http_proxy": 0,
      "grpc.use_local_subchannel_pool": 1,
      ...options,
    });
    clients.push(client);
    return client;
  };
  const through = (agent: Service) =>
    dial(`127.0.0.1:${agent.serves.outboundPort}`, { "grpc.default_authority": authority });
  const readyz = async (agent: Service) => (await fetch(`http://127.0.0.1:${agent.serves.adminPort}/readyz`)).status;
  const attached = (count: number) =>
    until("agents that know each other", async () => {
      const { processes } = await rest.topology();
      return processes.filter(({ phase }) => phase === "attached").length === count ? "yes" : undefined;
    });
  const shop = async () => {
    const opened = await openShop();
    shops.push(opened);
    return opened;
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "cutline-drain-"));
    const [http, agents] = [await reservePort(), await reservePort()];
    coordinatorAddress = `127.0.0.1:${agents}`;
    rest = new Rest(() => `http://127.0.0.1:${http}`);
    const store = `file:${join(folder, "coordinator.db")}`;
    const environment = {
      CUTLINE_HTTP_PORT: String(http),
      CUTLINE_AGENTS_PORT: String(agents),
      CUTLINE_STORE_URL: store,
    };
    await start("coordinator", "services/coordinator/src/main.ts", environment, "coordinator serves");
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await Promise.all(
      services
        .splice(0)
        .reverse()
        .map((service) => service.stop()),
    );
    for (const { server } of shops.splice(0)) server.forceShutdown();
    await rm(folder, { recursive: true, force: true });
  });

  it("fails no call of other processes: they go to those that stay, and open ones finish", async () => {
    const [one, two] = [await shop(), await shop()];
    const serves = { CUTLINE_AUTHORITIES: authority };
    const [caller, leaving] = await Promise.all([
      startAgent("caller", 1),
      startAgent("one", one.port, serves),
      startAgent("two", two.port, serves),
    ]);
    await attached(3);
    const client = await reached(through(caller));
    await until("calls that reach both", async () => {
      await reached(client);
      return one.served > 0 && two.served > 0 ? "yes" : undefined;
    });
    const load = new Load(client);
    await load.more();
    // Calls that are open when the agent leaves, on either of them.
    const held = [await hold(through(caller)), await hold(through(caller))];
    assert.equal(await readyz(leaving), 200);
    const ended = leaving.stop();
    await until("an agent that says that it leaves", async () => ((await readyz(leaving)) === 503 ? "yes" : undefined));
    await load.more();
    for (const { stream } of held) stream.end(Buffer.from("last"));
    assert.deepEqual(await Promise.all(held.map(({ end }) => end)), [0, 0]);
    assert.equal(await ended, "exit code 0");
    const servedByLeaving = one.served;
    await load.more();
    assert.equal(one.served, servedByLeaving);
    await load.stop();
    assert.deepEqual(load.failures, []);
  });

  it("fails no call of a caller without an agent that obeys GOAWAY", async () => {
    const [one, two] = [await shop(), await shop()];
    const [leaving, staying] = await Promise.all([startAgent("one", one.port), startAgent("two", two.port)]);
    const target = `ipv4:127.0.0.1:${leaving.serves.inboundPort},127.0.0.1:${staying.serves.inboundPort}`;
    const load = new Load(await reached(dial(target)));
    await load.more();
    assert.ok(one.served > 0, "the first of the two is called");
    const ended = leaving.stop();
    await load.more();
    assert.equal(await ended, "exit code 0");
    await load.more();
    await load.stop();
    assert.deepEqual(load.failures, []);
    assert.ok(two.served > 0, "the other one is called afterwards");
  });

  it("lets the application make calls for as long as it has some to answer", async () => {
    const backAuthority = { "grpc.default_authority": "back.drain:9000" };
    const back = await shop();
    const front = await shop();
    const [caller, middle] = await Promise.all([
      startAgent("caller", 1),
      startAgent("front", front.port, { CUTLINE_AUTHORITIES: authority }),
      startAgent("back", back.port, { CUTLINE_AUTHORITIES: "back.drain:9000" }),
    ]);
    await attached(3);
    await reached(dial(`127.0.0.1:${middle.serves.outboundPort}`, backAuthority));
    const held = await hold(await reached(through(caller)));
    const ended = middle.stop();
    await until("an agent that says that it leaves", async () => ((await readyz(middle)) === 503 ? "yes" : undefined));
    // On a new connection, which is what a client makes whose first call this is.
    const nested = new Load(dial(`127.0.0.1:${middle.serves.outboundPort}`, backAuthority));
    await nested.more();
    await nested.stop();
    assert.deepEqual(nested.failures, []);
    held.stream.end();
    assert.equal(await held.end, 0);
    assert.equal(await ended, "exit code 0");
  });

  for (const how of ["a second SIGTERM", "the end of the grace period"] as const) {
    it(`cuts what is left at ${how}`, async () => {
      const one = await shop();
      const grace = how === "a second SIGTERM" ? "60000" : "1500";
      const settings = { CUTLINE_AUTHORITIES: authority, CUTLINE_STOP_GRACE_MS: grace };
      const [caller, leaving] = await Promise.all([startAgent("caller", 1), startAgent("one", one.port, settings)]);
      await attached(2);
      const { end } = await hold(await reached(through(caller)));
      const ended = leaving.stop();
      await until("an agent that says that it leaves", async () =>
        (await readyz(leaving)) === 503 ? "yes" : undefined,
      );
      if (how === "a second SIGTERM") process.kill(leaving.pid, "SIGTERM");
      assert.equal(await ended, how === "a second SIGTERM" ? "exit code 143" : "exit code 0");
      assert.equal(await end, grpc.status.UNAVAILABLE);
    });
  }
});
