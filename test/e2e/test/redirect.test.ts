import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "../src/system/until.ts";
import { PodNetwork, type Started } from "./redirect-network.ts";

const repository = fileURLToPath(new URL("../../../", import.meta.url));
const agentProgram = `${repository}services/agent/src/main.ts`;
const redirectProgram = `${repository}services/agent/src/redirect/main.ts`;
const coordinatorProgram = `${repository}services/coordinator/src/main.ts`;
const nobody = 65_534;
const applicationPort = 9000;
const callerAddresses = { ip: "10.77.0.1", ip6: "fd77::1" };
const callee = { ip: "10.77.0.2", ip6: "fd77::2" };

/** Answers every call, and says who connected and what was called. */
const application = `
const server = require("node:http2").createServer();
const say = (what) => console.log(JSON.stringify(what));
server.on("session", ({ socket }) => say({ from: socket.remoteAddress }));
server.on("stream", (stream, headers) => {
  say({ call: headers[":path"], authority: headers[":authority"] });
  stream.on("error", () => undefined);
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.resume();
  stream.on("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.end(Buffer.from([0, 0, 0, 0, 1, 7]));
  });
});
server.listen(${applicationPort}, "::", () => say("serves"));`;

/** One gRPC call in HTTP/2 with prior knowledge, as a client makes it that knows no proxy. */
const call = (host: string, path: string, port = applicationPort) => `
const session = require("node:http2").connect("http://${host}:${port}");
const done = (result) => { console.log(JSON.stringify(result)); process.exit(0); };
session.on("error", (error) => done({ error: error.code }));
const stream = session.request({ ":method": "POST", ":path": "${path}", ":authority": "b.shop:${applicationPort}",
  "content-type": "application/grpc", te: "trailers" });
let bytes = 0;
let status;
stream.on("response", (headers) => { status = headers["grpc-status"]; });
stream.on("data", (chunk) => { bytes += chunk.length; });
stream.on("trailers", (trailers) => { status = trailers["grpc-status"]; });
stream.on("error", () => undefined);
stream.on("close", () => done({ status, bytes }));
stream.end(Buffer.from([0, 0, 0, 0, 1, 9]));
setTimeout(() => done({ error: "late" }), 5000);`;

/** Two pods with a cable between them, each with its rules and its agent, and a real coordinator. */
describe("redirect mode, in network namespaces", () => {
  let folder: string;
  let a: PodNetwork;
  let b: PodNetwork;
  let server: Started;
  const programs: Started[] = [];

  const redirect = (network: PodNetwork, environment: Record<string, string> = {}) =>
    network.command(
      "env",
      `CUTLINE_REDIRECT_APPLICATION_PORT=${applicationPort}`,
      `CUTLINE_REDIRECT_OUTBOUND_PORTS=${applicationPort},50051`,
      // The agents run as root here, and the applications as nobody.
      "CUTLINE_REDIRECT_AGENT_USER=0",
      ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      process.execPath,
      "--conditions=cutline-source",
      redirectProgram,
    );

  const startAgent = (network: PodNetwork, name: string, address: { ip: string; ip6: string }, authorities: string) => {
    const environment = {
      CUTLINE_PROCESS_ID: `shop/${name}`,
      CUTLINE_COORDINATOR_ADDRESS: `${callerAddresses.ip}:7401`,
      CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${applicationPort}`,
      CUTLINE_AUTHORITIES: authorities,
      CUTLINE_OUTBOUND_HOST: "127.0.0.1,::1",
      CUTLINE_INBOUND_HOST: `${address.ip},${address.ip6}`,
      CUTLINE_LINK_HOST: address.ip,
      CUTLINE_STOP_GRACE_MS: "500",
    };
    const started = network.start(["--conditions=cutline-source", agentProgram], { environment });
    programs.push(started);
    return started;
  };

  const metricsOf = (network: PodNetwork) =>
    network.node('fetch("http://127.0.0.1:15000/metrics").then((r) => r.text()).then((t) => console.log(t))');
  const callsOf = async (network: PodNetwork, direction: string, peer: string) => {
    const pattern = new RegExp(`^cutline_calls_total\\{direction="${direction}",peer="${peer}"[^}]*\\} (\\d+)`, "gm");
    return [...(await metricsOf(network)).matchAll(pattern)].reduce((sum, [, count]) => sum + Number(count), 0);
  };
  const seenBy = (application: Started, what: string) => application.lines.filter((line) => line.includes(what));

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cutline-redirect-"));
    [a, b] = [await PodNetwork.open(), await PodNetwork.open()];
    await a.connect(
      b,
      [`${callerAddresses.ip}/24`, `${callerAddresses.ip6}/64`],
      [`${callee.ip}/24`, `${callee.ip6}/64`],
    );
    const environment = {
      CUTLINE_HTTP_HOST: callerAddresses.ip,
      CUTLINE_ACCESS: "open",
      CUTLINE_AGENTS_HOST: callerAddresses.ip,
      CUTLINE_STORE_URL: `file:${join(folder, "coordinator.db")}`,
    };
    programs.push(a.start(["--conditions=cutline-source", coordinatorProgram], { environment }));
    await Promise.all([redirect(a), redirect(b)]);
    server = b.start(["-e", application], { user: nobody });
    startAgent(a, "a", callerAddresses, "a.shop:9000");
    startAgent(b, "b", callee, `b.shop:${applicationPort}`);
    const topology = `fetch("http://${callerAddresses.ip}:7400/v1/topology").then((r) => r.text()).then((t) => console.log(t))`;
    await until(
      "both processes to be attached",
      async () => ((await a.node(topology).catch(() => "")).match(/"shop\/[ab]"/g)?.length ?? 0) >= 2 || undefined,
      {
        timeoutMs: 90_000,
        everyMs: 500,
        otherwise: () => programs.map(({ lines, errors }) => [...lines, errors()].join("\n")).join("\n---\n"),
      },
    );
    await until(
      "the caller's agent to know the callee",
      async () => {
        await a.node(call(callee.ip, "/shop.B/First"), { user: nobody });
        return (await callsOf(b, "inbound", "shop/a")) > 0 || undefined;
      },
      { timeoutMs: 30_000, everyMs: 200 },
    );
  });

  after(async () => {
    await a?.close();
    await b?.close();
    await rm(folder, { recursive: true });
  });

  const over = async (family: "ip" | "ip6") => {
    const host = family === "ip" ? callee.ip : `[${callee.ip6}]`;
    const path = `/shop.B/Over-${family}`;
    const before = await callsOf(b, "inbound", "shop/a");
    const result = await a.node(call(host, path), { user: nobody });
    assert.deepEqual(JSON.parse(result), { status: "0", bytes: 6 });
    assert.deepEqual(
      seenBy(server, path).map((line) => JSON.parse(line)),
      [{ call: path, authority: "b.shop:9000" }],
    );
    assert.equal((await callsOf(b, "inbound", "shop/a")) - before, 1, "it went over a link, and not twice");
  };

  it("leads a client that knows no proxy over a link", () => over("ip"));

  it("leads IPv6 over a link too", () => over("ip6"));

  it("leads callers without an agent through the callee's agent, which counts them as the environment", async () => {
    const before = await callsOf(b, "inbound", "environment");
    // Traffic of the agent's own user is left alone: this is as if the caller had no agent.
    const result = await a.node(call(callee.ip, "/shop.B/Foreign"));
    assert.deepEqual(JSON.parse(result), { status: "0", bytes: 6 });
    assert.equal((await callsOf(b, "inbound", "environment")) - before, 1);
    assert.ok(
      seenBy(server, '"from"').every((line) => /127\.0\.0\.1|::1/.test(line)),
      "the application sees its agent only",
    );
  });

  it("lets the kubelet's probes through to the application itself, uncounted", async () => {
    const before = await callsOf(b, "inbound", "environment");
    const result = await a.node(call(callee.ip, "/grpc.health.v1.Health/Check", 15_021));
    assert.deepEqual(JSON.parse(result), { status: "0", bytes: 6 });
    assert.equal(seenBy(server, "Health/Check").length, 1);
    assert.ok(seenBy(server, '"from"').some((line) => line.includes(callerAddresses.ip)));
    assert.equal(await callsOf(b, "inbound", "environment"), before);
  });

  it("leaves loopback and ports that are not listed alone", async () => {
    const before = [await callsOf(b, "inbound", "environment"), await callsOf(b, "outbound", "environment")];
    const own = await b.node(call("127.0.0.1", "/shop.B/Own"), { user: nobody });
    assert.deepEqual(JSON.parse(own), { status: "0", bytes: 6 });
    const unlisted = await a.node(call(callee.ip, "/shop.B/Unlisted", 9001), { user: nobody });
    assert.deepEqual(JSON.parse(unlisted), { bytes: 0 }, "nobody answers there");
    assert.deepEqual([await callsOf(b, "inbound", "environment"), await callsOf(b, "outbound", "environment")], before);
  });

  it("cannot be led twice: the rules are the same when they are written again", async () => {
    const before = await b.command("nft", "list", "ruleset");
    await redirect(b);
    assert.equal(await b.command("nft", "list", "ruleset"), before);
    assert.match(before, /table ip cutline/);
    assert.match(before, /table ip6 cutline/);
  });

  it("writes the same rules with iptables where there is no nft, and those twice only once", async () => {
    const other = await PodNetwork.open();
    const programs = join(folder, "programs");
    try {
      // A PATH with iptables and without nft.
      await other.command(
        "sh",
        "-c",
        `mkdir ${programs}; for name in iptables iptables-restore ip6tables ip6tables-restore; do ln -s "$(command -v $name)" ${programs}/$name; done`,
      );
      const environment = { PATH: programs };
      await redirect(other, environment);
      const before = await other.command("iptables-save", "-t", "nat");
      assert.match(before, /-A CUTLINE_OUTBOUND -p tcp -m tcp --dport 50051 -j REDIRECT --to-ports 15001/);
      assert.match(await other.command("ip6tables-save", "-t", "nat"), /-A PREROUTING -p tcp -j CUTLINE_INBOUND/);
      await redirect(other, environment);
      const rulesOf = (text: string) => text.split("\n").filter((line) => line.startsWith("-A"));
      assert.deepEqual(rulesOf(await other.command("iptables-save", "-t", "nat")), rulesOf(before));
    } finally {
      await other.close();
    }
  });
});
