import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { startTcpProxy } from "../dataplane/tcp-proxy.ts";
import { ledgerService, metadataOf } from "./support/application.ts";
import { judge } from "./support/global-state.ts";
import { authorityOf } from "./support/member.ts";
import { dialThrough, endSnapshot, keptCalls, snapshot, startWorld, until, type World } from "./support/world.ts";

const timeout = 30_000;
const sameBytes = (bytes: Buffer) => bytes;
const ids = ["t/p0", "t/p1"];

async function inWorld(options: Parameters<typeof startWorld>[0], test: (world: World) => Promise<void>) {
  const world = await startWorld(options);
  try {
    await test(world);
  } finally {
    await world.stop();
  }
}

let snapshots = 0;

/** One snapshot of the world, which says no more than it can prove. */
async function judged(world: World) {
  snapshots += 1;
  const ref = { snapshotId: `u${snapshots}`, attempt: 1 };
  await snapshot(world.members, ref);
  const judgement = await judge(world.members, ref);
  endSnapshot(world.members, ref);
  if (judgement.exact) assert.deepEqual([...judgement.violations, ...judgement.wrong], []);
  return judgement;
}

const codesOf = (reasons: readonly string[]) => [...new Set(reasons.map((reason) => reason.split(" ")[1]))];

describe("an exact cut", () => {
  it("is in doubt as long as a client that is not wrapped has a stream open, not only the first time", {
    timeout,
  }, async () => {
    await inWorld({ ids }, async (world) => {
      const [near, far] = world.applications;
      const [member] = world.members;
      assert.ok(near && far && member);
      const client = dialThrough(member, authorityOf("t/p1"));
      const key = "t/p0>t/p1#unwrapped";
      const call = client.makeBidiStreamRequest(ledgerService.chat.path, sameBytes, sameBytes, metadataOf(key), {});
      call.on("error", () => {});
      call.on("data", (message: Buffer) => near.ledger.receive(message));
      call.write(near.ledger.send(key, "request", 10, "{}"));
      await until("it is answered", () => near.ledger.received.size > 0);
      for (let i = 0; i < 3; i += 1) {
        const { exact, reasons } = await judged(world);
        assert.deepEqual([exact, codesOf(reasons)], [false, ["UnwrappedCall"]], `snapshot ${i + 1}`);
      }
      call.cancel();
      client.close();
    });
  });

  it("counts nothing as received because the application's own reports broke off for a while", {
    timeout,
  }, async () => {
    const proxies: Awaited<ReturnType<typeof startTcpProxy>>[] = [];
    const options = {
      ids,
      async member(_id: string, { port }: { port: number }) {
        const proxy = await startTcpProxy(port);
        proxies.push(proxy);
        return { participantPort: Number(proxy.address.split(":")[1]) };
      },
    };
    await inWorld(options, async (world) => {
      const [near, far] = world.applications;
      const farProxy = proxies[1];
      assert.ok(near && far && farProxy);
      const key = "t/p0>t/p1#reports";
      const call = near
        .dial("t/p1")
        .makeBidiStreamRequest(ledgerService.chat.path, sameBytes, sameBytes, metadataOf(key), {});
      call.on("error", () => {});
      call.on("data", (message: Buffer) => near.ledger.receive(message));
      const write = (order: object) => call.write(near.ledger.send(key, "request", 100, JSON.stringify(order)));
      write({ reading: "once" });
      await until("the first message is answered", () => near.ledger.received.size > 0);
      for (let i = 0; i < 5; i += 1) write({});
      const before = await judged(world);
      assert.deepEqual([before.exact, before.inFlightMessages], [true, 5]);

      farProxy.refuse();
      farProxy.cut();
      for (let i = 0; i < 5; i += 1) write({});
      const handed = () => {
        const calls = [...(world.members[1]?.plane.driver.links.values() ?? [])].flatMap((link) => [
          ...link.calls.values(),
        ]);
        return Math.max(...calls.map(({ inbound }) => inbound.messagesHanded));
      };
      await until("all are handed over", () => handed() === 11);
      farProxy.allow();
      await until("the application is greeted again", () => world.members[1]?.application.unreadyReason === undefined);
      const after = await judged(world);
      assert.deepEqual([after.exact, after.reasons, after.inFlightMessages], [true, [], 10]);

      const status = await near.unary("t/p1", "t/p0>t/p1#later", {}, {});
      assert.equal(status, grpc.status.OK);
      call.cancel();
      for (const proxy of proxies) await proxy.close();
    });
  });

  it("says so when a call of the application to itself was under way", { timeout }, async () => {
    await inWorld({ ids }, async (world) => {
      const [near, far] = world.applications;
      const [member] = world.members;
      assert.ok(near && far && member);
      const first = await near.unary("t/p0", "t/p0>t/p0#first", {}, {});
      assert.equal(first, grpc.status.OK);
      // The section holds the capture up until it has made the call; the handler begins behind the capture. A message on
      // a stream whose reading is slow keeps the cut going until the handler has answered.
      let answered: Promise<grpc.status> | undefined;
      const made = near.participant.atomic(async () => {
        await until("the capture waits", () => member.plane.gate.fromApplication === "frozen");
        const key = "t/p0>t/p1#slow";
        const stream = near
          .dial("t/p1")
          .makeClientStreamRequest(ledgerService.collect.path, sameBytes, sameBytes, metadataOf(key), {}, () => {});
        stream.on("error", () => {});
        for (let i = 0; i < 15; i += 1) stream.write(near.ledger.send(key, "request", 200_000, i === 0 ? "{}" : ""));
        stream.end();
        answered = near.unary("t/p0", "t/p0>t/p0#second", {}, {});
      }, "a section that makes a call");
      const { exact, reasons, wrong } = await judged(world);
      await made;
      await answered;
      assert.deepEqual([exact, codesOf(reasons).includes("CallToItself")], [false, true], wrong.join("\n"));
    });
  });

  it("leaves nothing behind of a call that is cancelled while its answer waits for room", { timeout }, async () => {
    await inWorld({ ids, member: () => ({ callLimits: { windowBytes: 4_096 } }) }, async (world) => {
      const [near] = world.applications;
      assert.ok(near);
      const key = "t/p0>t/p1#unread";
      const request = near.ledger.send(key, "request", 0, JSON.stringify({ count: 3, answerBytes: 80_000 }));
      const call = near
        .dial("t/p1")
        .makeServerStreamRequest(ledgerService.list.path, sameBytes, sameBytes, request, metadataOf(key), {});
      call.on("error", () => {});
      const far = world.members[1];
      const served = () => [...(far?.plane.driver.links.values() ?? [])].flatMap((link) => [...link.calls.values()]);
      await until("the whole answer waits at the server's agent", () =>
        served().some((each) => each.outbound.read.end),
      );
      call.cancel();
      await until("nothing is kept", () => keptCalls(world.members).length === 0, 5_000).catch(() => undefined);
      assert.deepEqual(keptCalls(world.members), []);
    });
  });

  it("leaves nothing behind of calls that the application's library tries again", { timeout }, async () => {
    await inWorld({ ids }, async (world) => {
      const [near] = world.applications;
      const [member] = world.members;
      assert.ok(near && member);
      const retryPolicy = {
        maxAttempts: 3,
        initialBackoff: "0.01s",
        maxBackoff: "0.01s",
        backoffMultiplier: 1,
        retryableStatusCodes: ["ABORTED"],
      };
      const plain = new grpc.Client(`127.0.0.1:${member.outboundPort}`, grpc.credentials.createInsecure(), {
        "grpc.default_authority": authorityOf("t/p1"),
        "grpc.service_config": JSON.stringify({ methodConfig: [{ name: [{ service: "test.Ledger" }], retryPolicy }] }),
      });
      const client = near.participant.client(plain);
      const path = ledgerService.unary.path;
      for (let i = 0; i < 3; i += 1) {
        await new Promise<void>((resolve) => {
          const key = `t/p0>t/p1#retried${i}`;
          const request = near.ledger.send(key, "request", 0, JSON.stringify({ fails: true }));
          client.makeUnaryRequest(path, sameBytes, sameBytes, request, metadataOf(key), {}, (error) => {
            near.ledger.end(key, "caller", String(error?.code));
            resolve();
          });
        });
      }
      assert.equal(world.applications[1]?.ledger.outOfTurn.length, 6, "each was tried three times");
      await until("nothing is kept", () => keptCalls(world.members).length === 0, 5_000).catch(() => undefined);
      assert.deepEqual(keptCalls(world.members), []);
      plain.close();
    });
  });

  it("waits for no call that its application has reset and is still reading from", { timeout }, async () => {
    await inWorld({ ids, member: () => ({ captureLimits: { settleTimeoutMs: 3_000 } }) }, async (world) => {
      const [near] = world.applications;
      assert.ok(near);
      const key = "t/p0>t/p1#overdue";
      const request = near.ledger.send(key, "request", 0, JSON.stringify({ count: 9, pauseMs: 1 }));
      const call = near
        .dial("t/p1")
        .makeServerStreamRequest(ledgerService.list.path, sameBytes, sameBytes, request, metadataOf(key), {
          deadline: Date.now() + 300,
        });
      call.on("error", () => {});
      let status: grpc.StatusObject | undefined;
      call.on("status", (each: grpc.StatusObject) => {
        status = each;
      });
      call.once("data", (message: Buffer) => {
        near.ledger.receive(message);
        call.pause();
      });
      await until(
        "its time is over",
        () => status !== undefined || performance.now() > Number.POSITIVE_INFINITY,
        1_500,
      ).catch(() => undefined);
      const startedMs = performance.now();
      const { exact, reasons } = await judged(world);
      const tookMs = performance.now() - startedMs;
      assert.deepEqual([exact, reasons], [true, []]);
      assert.ok(tookMs < 2_500, `${tookMs} ms`);
      call.on("data", (message: Buffer) => near.ledger.receive(message));
      call.resume();
    });
  });
});
