import assert from "node:assert/strict";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, it } from "node:test";
import { methods, startGrpcServer, until } from "@cutline/h2/testing";
import { createMetrics, defineConfig, secret, silentLogger, text } from "@cutline/runtime";
import * as grpc from "@grpc/grpc-js";
import { ApplicationProbe } from "../../src/admin/application-probe.ts";
import { type AdminOptions, AdminServer } from "../../src/admin/server.ts";
import { callRows, linkRows, settingRows } from "../../src/admin/views.ts";
import { authorityOf, dialThrough, introduce, startProcess } from "../dataplane/processes.ts";

const none = { rows: [], total: 0 };
const ready = { outcome: "ready" as const, missing: [], reservations: [] };
const stops: (() => unknown)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function startPage(options: Partial<AdminOptions> = {}): Promise<string> {
  const page = new AdminServer({
    title: "Cutline agent of bank/a",
    metrics: createMetrics(),
    overview: () => [["process", "bank/a"]],
    readiness: async () => ready,
    links: () => none,
    calls: () => none,
    settings: () => none,
    logger: silentLogger,
    ...options,
  });
  const port = await page.listen("127.0.0.1", 0);
  stops.push(() => page.close());
  return `http://127.0.0.1:${port}`;
}

const html = { headers: { accept: "text/html,application/xhtml+xml" } };

describe("the agent's page", () => {
  it("answers programs in JSON and browsers in HTML, and links to everything it has", async () => {
    const base = await startPage();
    const seen = await (await fetch(`${base}/`)).json();
    assert.deepEqual(seen, { process: "bank/a", readiness: ready });
    const page = await (await fetch(`${base}/`, html)).text();
    const paths = [...page.matchAll(/href="([^"]+)"/g)].map(([, path]) => path ?? "");
    assert.deepEqual(paths, ["/", "/links", "/calls", "/config", "/metrics", "/healthz", "/readyz"]);
    for (const path of paths) assert.equal((await fetch(`${base}${path}`, html)).status, 200, path);
    assert.equal((await fetch(`${base}/nothing`)).status, 404);
    assert.equal((await fetch(`${base}/`, { method: "POST" })).status, 405);
  });

  it("says with 503 what is missing", async () => {
    const missing = [{ code: "Leaving" as const, message: "the agent was told to stop" }];
    const base = await startPage({ readiness: async () => ({ outcome: "unready", missing, reservations: [] }) });
    const response = await fetch(`${base}/readyz`);
    assert.equal(response.status, 503);
    assert.deepEqual(await response.json(), { outcome: "unready", missing, reservations: [] });
    assert.match(await (await fetch(`${base}/readyz`, html)).text(), /the agent was told to stop/);
    assert.equal((await fetch(`${base}/healthz`)).status, 200, "not ready is not ill");
  });

  it("writes what peers have named as text, never as HTML", async () => {
    const row = {
      direction: "inbound" as const,
      peer: "bank/b",
      authority: `<script>alert("x")</script>`,
      method: "/a&b",
      ageMs: 1,
      sentBytes: 2,
      receivedBytes: 3,
      state: "in process",
    };
    const base = await startPage({ calls: () => ({ rows: [row], total: 201 }) });
    const page = await (await fetch(`${base}/calls`, html)).text();
    assert.ok(!page.includes("<script>"));
    assert.match(page, /200 more are not shown/);
  });

  it("does not answer under a name that somebody else may have given to this machine", async () => {
    const base = await startPage();
    const status = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const asked = request(`${base}/config`, { headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        asked.once("error", reject).end();
      });
    assert.equal(await status("evil.example"), 403);
    assert.deepEqual(
      [await status("localhost:15000"), await status("10.0.0.7:15000"), await status("[::1]:15000")],
      [200, 200, 200],
    );
  });

  it("shows no secret among the settings", () => {
    const definition = defineConfig({
      url: text("CUTLINE_URL", { default: "redis://user:hunter2@cache:6379", doc: "Where." }),
      token: secret("CUTLINE_TOKEN", { required: true, doc: "Whose." }),
    });
    const config = { url: definition.table.url.defaultValue, token: tokenOf("hunter2") };
    const shown = JSON.stringify(settingRows(definition, config));
    assert.ok(!shown.includes("hunter2"), shown);
    assert.match(shown, /redis:\/\/user:\[redacted\]@cache:6379/);
  });

  it("lists links and open calls, the oldest first", { timeout: 30_000 }, async () => {
    const server = await startGrpcServer();
    const caller = await startProcess({ id: "bank/caller", applicationPort: 0 });
    const callee = await startProcess({ id: "bank/callee", applicationPort: server.port });
    introduce([caller, callee]);
    const client = dialThrough(caller, authorityOf(callee.id));
    stops.push(
      () => client.close(),
      () => server.stop(),
      () => caller.stop(),
      () => callee.stop(),
    );
    const { path, requestSerialize, responseDeserialize } = methods.echo;
    const calls = [1, 2].map(() => {
      const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new grpc.Metadata());
      call.on("error", () => undefined);
      call.on("data", () => undefined);
      call.write(Buffer.alloc(95));
      return call;
    });
    const now = () => performance.now();
    const open = () => callRows(callee.dataPlane, now);
    await until("both are answered in part", () => open().rows.filter(({ sentBytes }) => sentBytes > 0).length === 2);
    const { rows, total } = open();
    assert.equal(total, 2);
    assert.ok((rows[0]?.ageMs ?? 0) >= (rows[1]?.ageMs ?? 0));
    const [{ ageMs: _, sentBytes: __, ...row } = {}] = rows.map((one) => one as Partial<typeof one>);
    assert.deepEqual(row, {
      direction: "inbound",
      peer: "bank/caller",
      authority: authorityOf("bank/callee"),
      method: path,
      receivedBytes: 100,
      state: "in process",
    });
    const [link] = linkRows(callee.dataPlane).rows;
    assert.deepEqual([link?.peer, link?.phase, link?.openCalls], ["bank/caller", "connected", 2]);
    for (const call of calls) call.end();
    await until("no call is open", () => open().total === 0);
  });
});

function tokenOf(value: string) {
  const parsed = secret("CUTLINE_TOKEN", { required: true, doc: "Whose." }).parse(value);
  assert.ok(parsed.outcome === "ok");
  return parsed.value;
}

describe("ApplicationProbe", () => {
  it("tells whether the application takes connections, and remembers it for a second", async () => {
    let connections = 0;
    const server: Server = createServer();
    server.on("connection", () => {
      connections += 1;
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    let nowMs = 0;
    const probe = new ApplicationProbe({ host: "127.0.0.1", port, now: () => nowMs });
    assert.deepEqual(await Promise.all([probe.ask(), probe.ask()]), [undefined, undefined]);
    await until("a connection", () => connections === 1);
    await new Promise((resolve) => server.close(resolve));
    assert.equal(await probe.ask(), undefined);
    nowMs = 1_000;
    assert.match((await probe.ask()) ?? "", /ECONNREFUSED/);
    assert.equal(connections, 1);
  });
});
