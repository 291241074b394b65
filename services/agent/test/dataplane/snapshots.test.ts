import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { until } from "@cutline/h2/testing";
import { checkCertificate, type SnapshotRef, snapshotKey } from "@cutline/protocol";
import * as grpc from "@grpc/grpc-js";
import { GrpcSplitter } from "../../src/dataplane/call/splitter.ts";
import { FrameFlag, FrameType } from "../../src/dataplane/link/codec.ts";
import { evidenceOf, isComplete, recordedFrames, wholeMessages } from "./global-state.ts";
import { authorityOf, dialThrough, introduce, startProcess, type TestProcess } from "./processes.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

const testTimeoutMs = 60_000;
const opened: (() => unknown)[] = [];
after(async () => {
  for (const close of opened.reverse()) await close();
});

/** What an observer inside a process sees at its cut, by call path and direction; no number of a frame is used. */
interface Seen {
  /** Whole messages given to links. */
  readonly sent: Map<string, number>;
  /** Whole messages handed to the application. */
  readonly handed: Map<string, number>;
}

interface World {
  readonly processes: readonly TestProcess[];
  readonly proxies: readonly TcpProxy[];
  readonly seen: Map<string, Seen>;
  received(): number;
  /** Lets every stream finish, and checks that it brought all its messages in order. */
  finish(): Promise<void>;
}

interface WorldOptions {
  readonly processesMax: number;
  readonly streamsPerPair: number;
  /** Turns of the event loop between the question for a capture and the cut. */
  readonly captureTurns: number;
}

function bytesOf(index: number): Buffer {
  return Buffer.from(`${index} ${"y".repeat(index % 40 === 0 ? 70_000 : index % 300)}`);
}

function path(from: number, to: number, stream: number): string {
  return `/test.Load/From${from}To${to}Stream${stream}`;
}

const sameBytes = (bytes: Buffer) => bytes;

async function startLoadServer(paths: readonly string[]): Promise<{ port: number; stop(): void }> {
  const server = new grpc.Server();
  for (const each of paths) {
    server.register<Buffer, Buffer>(
      each,
      (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on("data", (message: Buffer) => {
          if (call.write(message)) return;
          call.pause();
          call.once("drain", () => call.resume());
        });
        call.on("end", () => call.end());
      },
      sameBytes,
      sameBytes,
      "bidi",
    );
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, stop: () => server.forceShutdown() };
}

/** Processes that never stop sending each other numbered messages, with a TCP proxy in front of each. */
async function startWorld(options: WorldOptions): Promise<World> {
  const { processesMax, streamsPerPair, captureTurns } = options;
  const seen = new Map<string, Seen>();
  const processes: TestProcess[] = [];
  const proxies: TcpProxy[] = [];
  const indexes = Array.from({ length: processesMax }, (_, i) => i);
  const pathsOf = (from: number, to: number) =>
    Array.from({ length: streamsPerPair }, (_, stream) => path(from, to, stream));
  for (const to of indexes) {
    const paths = indexes.filter((from) => from !== to).flatMap((from) => pathsOf(from, to));
    const server = await startLoadServer(paths);
    const splitters = new Map<string, GrpcSplitter>();
    const process = await startProcess({
      id: `load/p${to}`,
      applicationPort: server.port,
      meshLimits: { retryMinMs: 1, retryMaxMs: 20 },
      onHanded(method, part, bytes) {
        const key = `${method} ${part}`;
        const splitter = splitters.get(key) ?? new GrpcSplitter(Number.POSITIVE_INFINITY);
        splitters.set(key, splitter);
        splitter.split(Buffer.from(bytes), () => {});
      },
      onCapture(self, ref) {
        const cut = () => {
          if (!self.dataPlane.driver.isRunning(ref)) return;
          const handed = new Map([...splitters].map(([key, splitter]) => [key, splitter.messages]));
          seen.set(`${self.id} ${snapshotKey(ref)}`, { sent: sentMessages(self), handed });
          self.dataPlane.driver.captured(ref);
        };
        afterTurns(captureTurns, cut);
      },
    });
    processes.push(process);
    const proxy = await startTcpProxy(Number(process.linkAddress.split(":")[1]));
    proxies.push(proxy);
    opened.push(
      server.stop,
      () => proxy.close(),
      () => process.stop(),
    );
  }
  introduce(processes, Object.fromEntries(processes.map(({ id }, i) => [id, proxies[i]?.address ?? ""])));
  let received = 0;
  let going = true;
  const streams: Promise<void>[] = [];
  for (const from of indexes) {
    for (const to of indexes) {
      if (from === to) continue;
      const client = dialThrough(processes[from] as TestProcess, authorityOf(`load/p${to}`));
      opened.push(() => client.close());
      for (const each of pathsOf(from, to)) {
        streams.push(
          runStream(client, each, {
            goOn: () => going,
            onMessage: () => {
              received += 1;
            },
          }),
        );
      }
    }
  }
  return {
    processes,
    proxies,
    seen,
    received: () => received,
    async finish() {
      going = false;
      await Promise.all(streams);
    },
  };
}

function afterTurns(turns: number, then: () => void): void {
  if (turns === 0) then();
  else setImmediate(() => afterTurns(turns - 1, then));
}

function sentMessages(process: TestProcess): Map<string, number> {
  const sent = new Map<string, number>();
  for (const link of process.links()) {
    for (const call of link.calls.values()) {
      let waiting = 0;
      for (const item of call.outbound.remaining()) {
        if (item.type === FrameType.message && (item.flags & FrameFlag.endOfMessage) !== 0) waiting += 1;
      }
      const part = call.role === "caller" ? "request" : "answer";
      sent.set(`${call.method} ${part}`, call.outbound.read.messages - waiting);
    }
  }
  return sent;
}

interface StreamOptions {
  goOn(): boolean;
  onMessage(): void;
}

/** Messages under way on one stream, so that there is always something in flight. */
const messagesInFlight = 30;

async function runStream(client: grpc.Client, method: string, options: StreamOptions): Promise<void> {
  const call = client.makeBidiStreamRequest(method, sameBytes, sameBytes, new grpc.Metadata());
  call.on("error", () => {});
  let sent = 0;
  let next = 0;
  const send = () => {
    if (options.goOn()) {
      call.write(bytesOf(sent));
      sent += 1;
    } else if (next === sent) call.end();
  };
  call.on("data", (message: Buffer) => {
    assert.ok(message.equals(bytesOf(next)), `${method}: message ${next} expected, got ${message.subarray(0, 10)}`);
    next += 1;
    options.onMessage();
    send();
  });
  const status = new Promise<grpc.StatusObject>((resolve) => call.on("status", resolve));
  for (let i = 0; i < messagesInFlight; i += 1) send();
  const { code, details } = await status;
  assert.deepEqual([code, details, next], [grpc.status.OK, "OK", sent]);
}

/** I1 and I2 by the certificate, and once more by what the observers counted. */
function checkSnapshot(world: World, ref: SnapshotRef): number {
  const evidence = evidenceOf(world.processes, ref);
  const { verdict, violations } = checkCertificate(evidence);
  assert.deepEqual(violations, []);
  assert.equal(verdict, "valid");
  let inFlight = 0;
  const recordedByPart = new Map<string, number>();
  for (const channel of evidence) {
    const receiver = world.processes.find(({ id }) => id === channel.to) as TestProcess;
    const frames = recordedFrames(receiver, ref, channel.id);
    assert.deepEqual(
      frames.map((frame) => frame.number),
      channel.recorded.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i)),
    );
    for (const forward of [true, false]) {
      const messages = wholeMessages(frames.filter((frame) => frame.forward === forward));
      for (const [method, bodies] of messages) {
        const part = forward ? "request" : "answer";
        recordedByPart.set(`${method} ${part}`, bodies.length);
        const handed = world.seen.get(`${receiver.id} ${snapshotKey(ref)}`)?.handed.get(`${method} ${part}`) ?? 0;
        for (const [i, body] of bodies.entries()) assert.ok(body.subarray(5).equals(bytesOf(handed + i)));
        inFlight += bodies.length;
      }
    }
  }
  for (const sender of world.processes) {
    for (const [key, sent] of world.seen.get(`${sender.id} ${snapshotKey(ref)}`)?.sent ?? []) {
      const handed = world.processes
        .filter((process) => process !== sender)
        .reduce((sum, { id }) => sum + (world.seen.get(`${id} ${snapshotKey(ref)}`)?.handed.get(key) ?? 0), 0);
      assert.equal(handed + (recordedByPart.get(key) ?? 0), sent, `${key} of ${snapshotKey(ref)}`);
    }
  }
  return inFlight;
}

function end(world: World, ref: SnapshotRef): void {
  for (const { dataPlane } of world.processes) dataPlane.driver.ended(ref);
}

function start(process: TestProcess | undefined, ref: SnapshotRef): void {
  process?.dataPlane.driver.start(ref, "start");
}

async function snapshotsInTurn(world: World, snapshotsMax: number): Promise<number> {
  let inFlight = 0;
  for (let i = 0; i < snapshotsMax; i += 1) {
    const ref = { snapshotId: `s${i}`, attempt: 1 };
    const before = world.received();
    await until("traffic flows", () => world.received() > before + 50);
    start(world.processes[i % world.processes.length], ref);
    await until(`${ref.snapshotId} is complete`, () => isComplete(world.processes, ref));
    inFlight += checkSnapshot(world, ref);
    end(world, ref);
  }
  return inFlight;
}

function checkClean(world: World): void {
  for (const { reports, recorder, dataPlane, log } of world.processes) {
    assert.deepEqual(reports.failures, []);
    assert.equal(recorder.totalBytes, 0);
    assert.equal(dataPlane.driver.state.snapshots.size, 0);
    assert.deepEqual(
      log.filter(({ level }) => level === "error"),
      [],
    );
  }
}

describe("snapshots of running traffic", () => {
  for (const captureTurns of [0, 1, 20]) {
    it(`are consistent and complete: cut ${captureTurns} turns after the marker`, {
      timeout: testTimeoutMs,
    }, async () => {
      const world = await startWorld({ processesMax: 2, streamsPerPair: 4, captureTurns });
      const inFlight = await snapshotsInTurn(world, 20);
      assert.ok(inFlight > 0, "something was in flight");
      await world.finish();
      checkClean(world);
    });
  }

  it("are consistent and complete among three processes, started everywhere at once", {
    timeout: testTimeoutMs,
  }, async () => {
    const world = await startWorld({ processesMax: 3, streamsPerPair: 2, captureTurns: 2 });
    for (let i = 0; i < 10; i += 1) {
      const ref = { snapshotId: `s${i}`, attempt: 1 };
      const before = world.received();
      await until("traffic flows", () => world.received() > before + 50);
      for (const process of world.processes) start(process, ref);
      await until(`${ref.snapshotId} is complete`, () => isComplete(world.processes, ref));
      checkSnapshot(world, ref);
      end(world, ref);
    }
    await world.finish();
    checkClean(world);
  });

  it("do not mix when they overlap, while connections break", { timeout: testTimeoutMs }, async () => {
    const world = await startWorld({ processesMax: 3, streamsPerPair: 2, captureTurns: 3 });
    const rounds = 8;
    const overlapping = 4;
    for (let round = 0; round < rounds; round += 1) {
      const refs = Array.from({ length: overlapping }, (_, i) => ({ snapshotId: `r${round}`, attempt: i + 1 }));
      for (const [i, ref] of refs.entries()) {
        const before = world.received();
        await until("traffic flows", () => world.received() > before + 10);
        start(world.processes[(round + i) % world.processes.length], ref);
        world.proxies[(round + i) % world.proxies.length]?.cut();
      }
      await until("all are complete", () => refs.every((ref) => isComplete(world.processes, ref)));
      for (const ref of refs) checkSnapshot(world, ref);
      for (const ref of refs) end(world, ref);
    }
    assert.ok(world.proxies.reduce((sum, proxy) => sum + proxy.accepted, 0) > rounds, "connections broke");
    await world.finish();
    checkClean(world);
  });
});
