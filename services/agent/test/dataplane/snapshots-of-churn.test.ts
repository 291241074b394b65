import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type GrpcServer, methods, startGrpcServer, until } from "@cutline/h2/testing";
import { checkCertificate, type SnapshotRef } from "@cutline/protocol";
import * as grpc from "@grpc/grpc-js";
import { evidenceOf, isComplete, recordedFrames } from "./global-state.ts";
import { authorityOf, dialThrough, introduce, startProcess, type TestProcess } from "./processes.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

const testTimeoutMs = 60_000;
const opened: (() => unknown)[] = [];
after(async () => {
  for (const close of opened.reverse()) await close();
});

const sameBytes = (bytes: Buffer) => bytes;

type Call = grpc.ClientDuplexStream<Buffer, Buffer>;

function open(client: grpc.Client, path: string, headers: Readonly<Record<string, string>> = {}): Call {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.add(name, value);
  const call = client.makeBidiStreamRequest(path, sameBytes, sameBytes, metadata);
  call.on("error", () => {});
  return call;
}

/** Ways in which calls begin and end; each returns the statuses that are right for it. */
const kinds: readonly ((client: grpc.Client, index: number) => { call: Call; allowed: readonly grpc.status[] })[] = [
  (client) => {
    const call = open(client, methods.unary.path);
    call.end(Buffer.alloc(500));
    return { call, allowed: [grpc.status.OK] };
  },
  (client) => {
    const call = open(client, methods.unary.path, { fail: "9" });
    call.end(Buffer.alloc(5));
    return { call, allowed: [grpc.status.FAILED_PRECONDITION] };
  },
  // Cancelled after the first answer, before any answer, and in the middle of many.
  (client) => {
    const call = open(client, methods.echo.path);
    call.write(Buffer.alloc(2_000));
    call.once("data", () => call.cancel());
    return { call, allowed: [grpc.status.CANCELLED] };
  },
  (client, index) => {
    const call = open(client, methods.unary.path, { hang: "please" });
    call.end(Buffer.alloc(10));
    afterTurns(index % 40, () => call.cancel());
    return { call, allowed: [grpc.status.CANCELLED] };
  },
  (client) => {
    const call = open(client, methods.spread.path);
    call.end(Buffer.from("200"));
    call.once("data", () => call.cancel());
    return { call, allowed: [grpc.status.CANCELLED] };
  },
  // The server ends it while messages are still on their way to it.
  (client) => {
    const call = open(client, methods.collect.path, { fail: "8" });
    for (let i = 0; i < 50; i += 1) call.write(Buffer.alloc(3_000));
    call.end();
    return { call, allowed: [grpc.status.RESOURCE_EXHAUSTED] };
  },
  (client) => {
    const call = open(client, methods.echo.path);
    for (let i = 0; i < 5; i += 1) call.write(Buffer.alloc(60_000));
    call.end();
    return { call, allowed: [grpc.status.OK] };
  },
];

function afterTurns(turns: number, then: () => void): void {
  if (turns <= 0) then();
  else setImmediate(() => afterTurns(turns - 1, then));
}

interface World {
  readonly processes: readonly TestProcess[];
  readonly proxies: readonly TcpProxy[];
  readonly servers: readonly GrpcServer[];
  ended(): number;
  stop(): Promise<void>;
}

/** Two processes that make calls of every kind to each other, so many at a time, until they are told to stop. */
async function startWorld(callsAtATime: number): Promise<World> {
  const servers = [await startGrpcServer(), await startGrpcServer()];
  const proxies: TcpProxy[] = [];
  const processes: TestProcess[] = [];
  let captures = 0;
  for (const [i, server] of servers.entries()) {
    const process = await startProcess({
      id: `churn/p${i}`,
      applicationPort: server.port,
      meshLimits: { retryMinMs: 1, retryMaxMs: 20 },
      onCapture(self, ref) {
        captures += 1;
        afterTurns((captures * 7) % 31, () => {
          if (self.dataPlane.driver.isRunning(ref)) self.dataPlane.driver.captured(ref);
        });
      },
    });
    processes.push(process);
    const proxy = await startTcpProxy(Number(process.linkAddress.split(":")[1]));
    proxies.push(proxy);
    opened.push(
      () => server.stop(),
      () => proxy.close(),
      () => process.stop(),
    );
  }
  introduce(processes, Object.fromEntries(processes.map(({ id }, i) => [id, proxies[i]?.address ?? ""])));
  let going = true;
  let ended = 0;
  const loops = processes.flatMap((process, from) => {
    const client = dialThrough(process, authorityOf(`churn/p${1 - from}`));
    opened.push(() => client.close());
    return Array.from({ length: callsAtATime }, async (_, lane) => {
      for (let i = lane; going; i += 1) {
        const kind = kinds[i % kinds.length] as (typeof kinds)[number];
        const { call, allowed } = kind(client, i);
        call.resume();
        const status = await new Promise<grpc.StatusObject>((resolve) => call.on("status", resolve));
        assert.ok(allowed.includes(status.code), `kind ${i % kinds.length} ended ${status.code} ${status.details}`);
        ended += 1;
      }
    });
  });
  return {
    processes,
    proxies,
    servers,
    ended: () => ended,
    async stop() {
      going = false;
      await Promise.all(loops);
    },
  };
}

async function snapshot(world: World, ref: SnapshotRef, starter: number): Promise<void> {
  const before = world.ended();
  await until("calls come and go", () => world.ended() > before + 3);
  world.processes[starter]?.dataPlane.driver.start(ref, "start");
  await until(`${ref.snapshotId} is complete`, () => isComplete(world.processes, ref));
  const evidence = evidenceOf(world.processes, ref);
  assert.deepEqual(checkCertificate(evidence).violations, []);
  for (const channel of evidence) {
    const receiver = world.processes.find(({ id }) => id === channel.to) as TestProcess;
    assert.equal(recordedFrames(receiver, ref, channel.id).length, channel.recordedCount);
  }
  for (const { dataPlane } of world.processes) dataPlane.driver.ended(ref);
}

describe("snapshots while calls of every kind come and go", () => {
  for (const connectionsBreak of [false, true]) {
    it(`are consistent and complete, and harmless${connectionsBreak ? ", while connections break" : ""}`, {
      timeout: testTimeoutMs,
    }, async () => {
      const world = await startWorld(8);
      for (let i = 0; i < 10; i += 1) {
        if (connectionsBreak) world.proxies[i % 2]?.cut();
        await snapshot(world, { snapshotId: `s${i}`, attempt: 1 }, i % 2);
      }
      await world.stop();
      await until("no call is left", () =>
        world.processes.every((process) => process.links().every((link) => link.calls.size === 0)),
      );
      await until("every handler has heard of its end", () =>
        world.servers.every((server) =>
          server.served.every((each) => each.cancelled || each.metadata.hang === undefined),
        ),
      );
      for (const { reports, recorder, log, links } of world.processes) {
        assert.deepEqual(reports.failures, []);
        assert.equal(recorder.totalBytes, 0);
        assert.ok(links().every((link) => link.strays.length === 0));
        assert.deepEqual(
          log.filter(({ level }) => level === "error"),
          [],
        );
      }
    });
  }
});
