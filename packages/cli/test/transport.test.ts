import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable, Writable } from "node:stream";
import { test } from "node:test";
import type { Io } from "../src/io.ts";
import { createTransport, directRoute, type TransportLimits } from "../src/transport.ts";

const request = { method: "GET", path: "/v1/topology", repeat: "idempotent", failure: "cannot ask" } as const;

async function withServer(
  listener: RequestListener,
  more: Partial<TransportLimits>,
  use: (transport: ReturnType<typeof createTransport>, interruption: AbortController) => Promise<void>,
): Promise<void> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const interruption = new AbortController();
  const terminal = { stream: new Writable(), isTTY: false, columns: 80 };
  const io: Io = {
    stdin: { stream: Readable.from([]), isTTY: false },
    stdout: terminal,
    stderr: terminal,
    env: {},
    now: Date.now,
    fetch: globalThis.fetch,
    sleep: async () => {},
    newKey: () => "key",
    signal: interruption.signal,
  };
  const limits = { answerMsMax: 10_000, idleMsMax: 10_000, answerBytesMax: 100, triesMax: 1, backoffMs: 1, ...more };
  try {
    const { port } = server.address() as AddressInfo;
    await use(createTransport(io, directRoute(new URL(`http://127.0.0.1:${port}/`)), limits), interruption);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("a coordinator that says nothing is given up after answerMsMax", () =>
  withServer(
    () => {},
    { answerMsMax: 40 },
    async (transport) => {
      await assert.rejects(transport.json(request), { exitCode: 4, message: /it said nothing for 0\.04 s/ });
    },
  ));

test("a stream that stops in the middle is given up after idleMsMax", () =>
  withServer(
    (_, response) => void response.write("begun"),
    { idleMsMax: 40 },
    async (transport) => {
      const chunks = await transport.stream(request);
      assert.equal(String(Buffer.from((await chunks.next()).value ?? [])), "begun");
      await assert.rejects(chunks.next(), { code: "CoordinatorUnreachable", message: /said nothing for 0\.04 s/ });
    },
  ));

test("an answer above answerBytesMax is not taken into memory", () =>
  withServer(
    (_, response) => void response.end("x".repeat(101)),
    {},
    async (transport) => {
      await assert.rejects(transport.json(request), { code: "BadAnswer", message: /longer than 100 bytes/ });
    },
  ));

test("Ctrl-C ends a request that hangs", () =>
  withServer(
    () => {},
    {},
    async (transport, interruption) => {
      const asked = transport.json(request);
      interruption.abort();
      await assert.rejects(asked, { code: "Interrupted", exitCode: 130 });
    },
  ));

test("a redirect is not followed", () =>
  withServer(
    (_, response) => void response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
    {},
    async (transport) => {
      await assert.rejects(transport.json(request), { exitCode: 4, message: /redirect/ });
    },
  ));
