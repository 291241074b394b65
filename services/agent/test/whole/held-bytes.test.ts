import assert from "node:assert/strict";
import { type ClientHttp2Session, connect, createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { startAgent } from "./agent.ts";

const bytesMax = 1024 * 1024;
const attackers = 40;
const burdenBytes = 200_000;
const waitMs = 20_000;

const opened: (() => unknown)[] = [];
after(async () => {
  for (const close of opened.reverse()) await close();
});

/** An application that answers at once, but for requests to `/hold`, which it never reads. */
async function startApplication(): Promise<number> {
  const server = createServer();
  server.on("stream", (stream, { ":path": path }) => {
    stream.on("error", () => undefined); // Given up by the agent, as it should be.
    if (path !== "/hold") stream.respond({ ":status": 200 }, { endStream: true });
  });
  server.on("session", (session) => opened.push(() => session.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + waitMs;
  while (!(await holds())) assert.ok(performance.now() < deadlineMs, `waited ${waitMs} ms for: ${what}`);
}

function dial(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined); // Closed is what it may be.
  opened.push(() => session.destroy());
  return session;
}

function statusOf(session: ClientHttp2Session, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":path": path });
    stream.once("response", (headers) => resolve(headers[":status"]));
    stream.once("error", reject);
    stream.resume();
  });
}

describe("many callers without an agent, whose bytes nobody reads", () => {
  it("cost what the budget allows and themselves, and others go on", { timeout: 60_000 }, async () => {
    const application = await startApplication();
    const { agent, metric } = await startAgent({
      environment: {
        CUTLINE_APPLICATION_ADDRESS: `127.0.0.1:${application}`,
        CUTLINE_HTTP2_HELD_BYTES_MAX: String(bytesMax),
      },
    });
    const one = async (name: string) => (await metric(`${name} `))[""] ?? Number.NaN;
    const honest = dial(agent.ports.inboundPort);
    assert.equal(await statusOf(honest, "/read"), 200);
    const sessions = Array.from({ length: attackers }, () => dial(agent.ports.inboundPort));
    for (const session of sessions) {
      const stream = session.request({ ":method": "POST", ":path": "/hold" });
      stream.on("error", () => undefined); // Reset is what it may be.
      stream.write(Buffer.alloc(burdenBytes));
      assert.equal(await statusOf(honest, "/read"), 200);
    }
    await until("something was given up", async () => (await one("cutline_http2_held_given_up_total")) > 0);
    await until("there is room again", async () => (await one("cutline_http2_held_bytes")) <= bytesMax);
    assert.equal(await one("cutline_http2_held_bytes_max"), bytesMax);
    assert.equal(await statusOf(honest, "/read"), 200);
    for (const session of sessions) session.destroy();
    await until("nothing is held", async () => (await one("cutline_http2_held_bytes")) === 0);
  });
});
