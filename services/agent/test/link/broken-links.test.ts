import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type GrpcServer, methods, startGrpcServer, until } from "@cutline/h2/testing";
import * as grpc from "@grpc/grpc-js";
import { authorityOf, dialThrough, introduce, startProcess, type TestProcess } from "../dataplane/processes.ts";
import { startTcpProxy, type TcpProxy } from "../dataplane/tcp-proxy.ts";

const testTimeoutMs = 60_000;

/** What a failed test would leave running. */
const opened: (() => unknown)[] = [];
after(async () => {
  for (const close of opened.reverse()) await close();
});

interface Pair {
  readonly server: GrpcServer;
  readonly caller: TestProcess;
  readonly callee: TestProcess;
  readonly proxy: TcpProxy;
  readonly client: grpc.Client;
}

/** Two processes with a TCP proxy between them. */
async function startPair(options: { resumeTimeoutMs?: number } = {}): Promise<Pair> {
  const server = await startGrpcServer();
  const meshLimits = { retryMinMs: 1, retryMaxMs: 20, ...options };
  const caller = await startProcess({ id: "bank/caller", applicationPort: 0, meshLimits });
  const callee = await startProcess({ id: "bank/callee", applicationPort: server.port, meshLimits });
  const proxy = await startTcpProxy(Number(callee.linkAddress.split(":")[1]));
  introduce([caller, callee], { [callee.id]: proxy.address });
  const client = dialThrough(caller, authorityOf(callee.id));
  opened.push(
    () => server.stop(),
    () => proxy.close(),
    () => callee.stop(),
    () => caller.stop(),
    () => client.close(),
  );
  return { server, caller, callee, proxy, client };
}

function openEcho(client: grpc.Client): grpc.ClientDuplexStream<Buffer, Buffer> {
  const { path, requestSerialize, responseDeserialize } = methods.echo;
  return client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new grpc.Metadata());
}

/** The status of a call, when it has ended. */
function statusOf(call: grpc.ClientDuplexStream<Buffer, Buffer>): Promise<grpc.StatusObject> {
  call.on("error", () => {});
  return new Promise((resolve) => call.on("status", resolve));
}

async function write(call: grpc.ClientDuplexStream<Buffer, Buffer>, message: Buffer): Promise<void> {
  if (!call.write(message)) await new Promise((resolve) => call.once("drain", resolve));
}

/** Numbers with a filler, so that messages have one piece or several. */
function numbered(index: number): Buffer {
  return Buffer.from(`${index} ${"x".repeat(index % 50 === 0 ? 40_000 : index % 200)}`);
}

describe("links that break", () => {
  it("20,000 messages over 20 calls and 30 broken connections: none lost, doubled or out of order", {
    timeout: testTimeoutMs,
  }, async () => {
    const { proxy, client, caller, callee } = await startPair();
    const callsMax = 20;
    const messagesMax = 1_000;
    let received = 0;
    const calls = Array.from({ length: callsMax }, async () => {
      const call = openEcho(client);
      const status = statusOf(call);
      const seen: number[] = [];
      call.on("data", (message: Buffer) => {
        const index = Number(message.toString().split(" ", 1)[0]);
        assert.equal(message.length, numbered(index).length);
        seen.push(index);
        received += 1;
      });
      for (let i = 0; i < messagesMax; i += 1) await write(call, numbered(i));
      call.end();
      assert.equal((await status).code, grpc.status.OK);
      assert.deepEqual(
        seen,
        Array.from({ length: messagesMax }, (_, i) => i),
      );
    });
    const cutsMax = 30;
    const cutting = (async () => {
      for (let cut = 0; cut < cutsMax; cut += 1) {
        // Spread over the traffic, by messages and not by time.
        const next = ((cut + 1) * callsMax * messagesMax) / (cutsMax + 2);
        await until(`traffic goes on after ${cut} cuts`, () => received >= next);
        proxy.cut();
      }
    })();
    await Promise.all([...calls, cutting]);
    assert.ok(proxy.accepted > 20, `${proxy.accepted} connections`);
    assert.deepEqual([caller.links().length, callee.links().length], [1, 1]);
    await until("no call is left", () => [...caller.links(), ...callee.links()].every((link) => link.calls.size === 0));
  });

  it("calls made while there is no connection wait for it", { timeout: testTimeoutMs }, async () => {
    const { proxy, client, caller } = await startPair();
    proxy.refuse();
    const call = openEcho(client);
    const status = statusOf(call);
    call.write(Buffer.from("x"));
    call.end();
    call.resume();
    await until("the call is on its link", () => caller.links().some((link) => link.calls.size === 1));
    proxy.allow();
    assert.equal((await status).code, grpc.status.OK);
  });

  it("a link that cannot be resumed in time ends its calls UNAVAILABLE at both ends", {
    timeout: testTimeoutMs,
  }, async () => {
    const { proxy, client, caller, callee, server } = await startPair({ resumeTimeoutMs: 100 });
    const call = openEcho(client);
    const status = statusOf(call);
    call.resume();
    call.write(Buffer.from("x"));
    await until("the call is being served", () => server.served.length === 1 && server.served[0]?.messages === 1);
    proxy.refuse();
    proxy.cut();
    assert.equal((await status).code, grpc.status.UNAVAILABLE);
    await until("the server is told", () => server.served[0]?.cancelled === true);
    await until("both ends have given the link up", () => caller.links().length + callee.links().length === 0);
    proxy.allow();
    const again = openEcho(client);
    const second = statusOf(again);
    again.resume();
    again.end();
    assert.equal((await second).code, grpc.status.OK);
  });
});

describe("peers that restart", () => {
  it("end the calls with them UNAVAILABLE at once, and only those", { timeout: testTimeoutMs }, async () => {
    const { client, caller, callee, server } = await startPair();
    const otherServer = await startGrpcServer();
    const other = await startProcess({ id: "bank/other", applicationPort: otherServer.port });
    opened.push(
      () => otherServer.stop(),
      () => other.stop(),
    );
    introduce([caller, callee, other]);
    const toCallee = openEcho(client);
    const otherClient = dialThrough(caller, authorityOf(other.id));
    opened.push(() => otherClient.close());
    const toOther = openEcho(otherClient);
    const statuses = [statusOf(toCallee), statusOf(toOther)];
    for (const call of [toCallee, toOther]) {
      call.resume();
      call.write(Buffer.from("x"));
    }
    await until("both are being served", () => server.served.length === 1 && otherServer.served.length === 1);
    const born = await startProcess({ id: callee.id, incarnation: "2", applicationPort: server.port });
    opened.push(() => born.stop());
    introduce([caller, born, other]);
    assert.equal((await statuses[0])?.code, grpc.status.UNAVAILABLE);
    const again = openEcho(client);
    const afterRestart = statusOf(again);
    again.resume();
    again.end();
    assert.equal((await afterRestart).code, grpc.status.OK);
    assert.equal(born.links().length, 1);
    toOther.end();
    assert.equal((await statuses[1])?.code, grpc.status.OK);
  });
});
