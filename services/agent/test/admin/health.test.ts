import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { afterEach, describe, it } from "node:test";
import { createMetrics, loadConfig, silentLogger } from "@cutline/runtime";
import { createHealth, type HealthOptions } from "../../src/admin/health.ts";
import { createAgent } from "../../src/app.ts";
import { agentConfig } from "../../src/config.ts";

const ready = { outcome: "ready" as const, missing: [], reservations: [] };
const stops: (() => unknown)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function startHealth(options: Partial<HealthOptions> = {}): Promise<string> {
  const health = createHealth({
    isStarted: () => true,
    readiness: async () => ready,
    metrics: createMetrics(),
    logger: silentLogger,
    ...options,
  });
  const port = await health.listen("127.0.0.1", 0);
  stops.push(() => health.close());
  return `http://127.0.0.1:${port}`;
}

describe("the health listener", () => {
  it("tells life, readiness and metrics, and nothing else", async () => {
    const base = await startHealth();
    assert.deepEqual(await (await fetch(`${base}/livez`)).json(), { outcome: "live" });
    assert.deepEqual(await (await fetch(`${base}/readyz?verbose`)).json(), { outcome: "ready", missing: [] });
    const metrics = await fetch(`${base}/metrics`);
    assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain/);
    for (const path of ["/", "/links", "/calls", "/config", "/healthz"]) {
      assert.equal((await fetch(`${base}${path}`)).status, 404, path);
    }
    assert.equal((await fetch(`${base}/livez`, { method: "POST" })).status, 405);
    const head = await fetch(`${base}/livez`, { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), "");
  });

  it("lets nobody hold a connection who never ends his request", { timeout: 20_000 }, async () => {
    const { port } = new URL(await startHealth());
    const socket = connect(Number(port), "127.0.0.1");
    socket.on("error", () => undefined); // It is cut off, however that is seen here.
    socket.write("GET /livez HTTP/1.1\r\nX: ");
    const timer = setInterval(() => socket.write("x"), 100);
    await once(socket.resume(), "close");
    clearInterval(timer);
  });

  it("is not live before the data plane serves", async () => {
    let started = false;
    const base = await startHealth({ isStarted: () => started });
    assert.equal((await fetch(`${base}/livez`)).status, 503);
    started = true;
    assert.equal((await fetch(`${base}/livez`)).status, 200);
  });

  it("says with codes what is missing, and names no peer", async () => {
    const missing = [{ code: "LinksDown" as const, message: "every link is broken (to bank/secret)" }];
    const base = await startHealth({ readiness: async () => ({ outcome: "unready", missing, reservations: [] }) });
    const response = await fetch(`${base}/readyz`);
    assert.equal(response.status, 503);
    assert.deepEqual(await response.json(), { outcome: "unready", missing: ["LinksDown"] });
  });

  it("says which setting to change when its port is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    stops.push(() => taken.close());
    await once(taken, "listening");
    const health = createHealth({
      isStarted: () => true,
      readiness: async () => ready,
      metrics: createMetrics(),
      logger: silentLogger,
    });
    await assert.rejects(health.listen("127.0.0.1", portOf(taken)), {
      code: "ListenFailed",
      message: /CUTLINE_HEALTH_PORT/,
    });
  });
});

describe("an agent", () => {
  const startAgent = async (environment: Record<string, string>) => {
    const application = createServer().listen(0, "127.0.0.1");
    stops.push(() => application.close());
    await once(application, "listening");
    const loaded = loadConfig(agentConfig, {
      CUTLINE_PROCESS_ID: "bank/a",
      CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${portOf(application)}`,
      CUTLINE_COORDINATOR_ADDRESS: "127.0.0.1:1",
      CUTLINE_OUTBOUND_PORT: "0",
      CUTLINE_INBOUND_PORT: "0",
      CUTLINE_LINK_PORT: "0",
      CUTLINE_ADMIN_PORT: "0",
      CUTLINE_HEALTH_PORT: "0",
      ...environment,
    });
    if (loaded.outcome === "invalid") assert.fail(JSON.stringify(loaded.problems));
    const agent = createAgent(loaded.config, { logger: silentLogger });
    stops.push(() => agent.stop());
    await agent.start();
    return agent;
  };

  it("serves its health where it is told to, and is live though no coordinator is there", async () => {
    const agent = await startAgent({ CUTLINE_HEALTH_HOST: "127.0.0.1" });
    const base = `http://127.0.0.1:${agent.ports.healthPort}`;
    assert.equal((await fetch(`${base}/livez`)).status, 200);
    const response = await fetch(`${base}/readyz`);
    assert.equal(response.status, 503);
    assert.deepEqual(await response.json(), { outcome: "unready", missing: ["CoordinatorNotAttached"] });
    assert.match(await (await fetch(`${base}/metrics`)).text(), /cutline_/);
  });

  it("serves no health when it is not told to", async () => {
    assert.equal((await startAgent({})).ports.healthPort, 0);
  });
});

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
