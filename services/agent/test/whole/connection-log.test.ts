import assert from "node:assert/strict";
import { connect, createServer, type Server, type Socket } from "node:net";
import { after, describe, it } from "node:test";
import { startGrpcServer, until } from "@cutline/h2/testing";
import { ConnectionLog } from "../../src/dataplane/connection-log.ts";
import { TestCoordinator } from "../control/support/coordinator.ts";
import { listLogger } from "../dataplane/processes.ts";
import { startAgent, unary, type WholeAgent } from "./agent.ts";

const timeout = 30_000;
const path = "/test.Service/Unary";
const broken = "the connection to the application broke";

const opened: (() => unknown)[] = [];
after(async () => {
  for (const close of opened.reverse()) await close();
});

/** An application that is a program of bytes. */
async function startBytes(onSocket: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer((socket) => {
    opened.push(() => socket.destroy());
    socket.on("error", () => undefined); // Its end is the other side's to judge.
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push(() => server.close());
  return (server.address() as { port: number }).port;
}

const calling = (agent: WholeAgent) => unary(agent.client("shop.orders:80"), { path });

/** An agent whose application is at `port`, and to which its own authority leads through the inbound port. */
async function startBefore(port: number): Promise<WholeAgent & { inbound(): Promise<unknown> }> {
  const whole = await startAgent({ environment: { CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${port}` } });
  const inbound = `127.0.0.1:${whole.agent.ports.inboundPort}`;
  // To the outbound side the inbound port is a peer outside of the mesh.
  return { ...whole, inbound: () => unary(whole.client(inbound), { path }) };
}

describe("why connections broke, in an agent's log", () => {
  it("is said of the application, with the reason and nothing that was sent", { timeout }, async () => {
    const port = await startBytes((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\n\r\nsecret"));
    });
    const whole = await startBefore(port);
    await whole.inbound();
    await until("a line", () => whole.log.some(({ message }) => message === broken));
    const lines = whole.log.filter(({ message }) => message === broken);
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.level, "warn");
    assert.deepEqual(lines[0]?.fields, {
      side: "application",
      peer: `127.0.0.1:${port}`,
      reason: "the first frame is not SETTINGS",
    });
    assert.ok(!JSON.stringify(whole.log).includes("secret"));
  });

  it("is said of the application's own connections", { timeout }, async () => {
    const server = await startGrpcServer();
    opened.push(() => server.stop());
    const whole = await startBefore(server.port);
    const socket = connect({ host: "127.0.0.1", port: whole.agent.ports.outboundPort });
    opened.push(() => socket.destroy());
    socket.on("error", () => undefined); // Closed is what it should be.
    socket.write(
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x01",
      "latin1",
    );
    await until("a line", () => whole.log.some(({ message }) => message === "an HTTP/2 connection broke"));
    const line = whole.log.find(({ message }) => message === "an HTTP/2 connection broke");
    assert.deepEqual(line?.fields, { side: "outbound", peer: "127.0.0.1", reason: "SETTINGS stands on stream 1" });
  });

  it("is not said of connections that end in order", { timeout }, async () => {
    const server = await startGrpcServer();
    opened.push(() => server.stop());
    const whole = await startBefore(server.port);
    await whole.inbound();
    await whole.agent.stop();
    assert.deepEqual(
      whole.log.filter(({ message }) => / broke$/.test(message)),
      [],
    );
  });

  it("is said ten times a minute for each side, and what was left out is counted", () => {
    const lines: Parameters<typeof listLogger>[0] = [];
    let nowMs = 0;
    const log = new ConnectionLog({ logger: listLogger(lines), now: () => nowMs });
    for (let i = 0; i < 25; i += 1) log.broke("inbound", "10.0.0.1", `reason ${i}`);
    log.broke("application", "127.0.0.1:1", "ECONNREFUSED");
    assert.deepEqual(
      lines.map(({ level, fields }) => `${level} ${fields.side}`),
      [...Array.from({ length: 10 }, () => "info inbound"), "warn application"],
    );
    nowMs = 60_000;
    log.broke("inbound", "10.0.0.1", "again");
    assert.deepEqual(lines.at(-1)?.fields, { side: "inbound", peer: "10.0.0.1", reason: "again", unsaid: 15 });
  });
});

describe("calls to an authority that leads nowhere", () => {
  it("are told so before there is a directory", { timeout }, async () => {
    const status = await calling(await startAgent());
    assert.equal(status.code, 14);
    assert.match(
      status.details,
      /^no directory has come from the coordinator, so shop\.orders:80 is taken for an address, and outside of the mesh it cannot be reached: .*(ENOTFOUND|EAI_AGAIN).*; start it, correct the name, or see to the coordinator$/,
    );
  });

  it("are told so with a directory that does not have it", { timeout }, async () => {
    const coordinator = new TestCoordinator();
    coordinator.behaviour.onHello = () => ({ directory: { version: 1, processes: [] } });
    await coordinator.start();
    const whole = await startAgent({
      environment: { CUTLINE_COORDINATOR_ADDRESS: coordinator.address, CUTLINE_DIRECTORY_WAIT_MS: "20000" },
    });
    const status = await calling(whole);
    // Before the agent leaves, which would wait for it.
    coordinator.crash();
    assert.equal(status.code, 14);
    assert.match(
      status.details,
      /^no process of the mesh serves shop\.orders:80, and outside of the mesh it cannot be reached: .*; start it, correct the name, or give the process that serves it this authority$/,
    );
  });

  it("are told what is wrong with their application, when they come in", { timeout }, async () => {
    const { details } = (await (await startBefore(1)).inbound()) as { details: string };
    assert.match(
      details,
      /^the application of process shop\/orders cannot be reached: .*ECONNREFUSED 127\.0\.0\.1:1; start it, or correct CUTLINE_APPLICATION_ADDRESS$/,
    );
  });
});
