import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import { ledgerService, metadataOf } from "./support/application.ts";
import { judge } from "./support/global-state.ts";
import { runTraffic, seeded } from "./support/traffic.ts";
import { connectAll, endSnapshot, keptCalls, snapshot, startWorld, until, type World } from "./support/world.ts";

const timeout = 40_000;
const trafficMs = Number(process.env.CUTLINE_TEST_TRAFFIC_MS ?? 1_200);
const sameBytes = (bytes: Buffer) => bytes;
const ids = ["t/p0", "t/p1"];
/** Short, so that a cut in doubt is not tried for long. */
const captureLimits = { drainTimeoutMs: 30, guardMs: 5, triesMax: 2 };

async function inWorld(test: (world: World) => Promise<void>, limits = captureLimits, windowBytes = 262_144) {
  const world = await startWorld({
    ids,
    kind: "opaque",
    member: () => ({ captureLimits: limits, callLimits: { windowBytes } }),
  });
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
  const ref = { snapshotId: `b${snapshots}`, attempt: 1 };
  await snapshot(world.members, ref);
  const judgement = await judge(world.members, ref);
  endSnapshot(world.members, ref);
  assert.deepEqual(judgement.violations, []);
  if (judgement.exact) assert.deepEqual(judgement.wrong, []);
  return judgement;
}

const codesOf = (reasons: readonly string[]) => [...new Set(reasons.map((reason) => reason.split(" ")[1]))];

describe("a boundary cut", () => {
  it("is exact when nothing is under way, and when short calls finish in time", { timeout }, async () => {
    await inWorld(
      async (world) => {
        const [near, far] = world.applications;
        assert.ok(near);
        assert.deepEqual((await judged(world)).reasons, []);
        assert.equal(await near.unary("t/p1", "t/p0>t/p1#first", {}, {}), grpc.status.OK);
        assert.deepEqual((await judged(world)).reasons, []);
        const call = near.unary("t/p1", "t/p0>t/p1#short", { pauseMs: 10 }, {});
        await until("the handler has begun", () => (far?.ledger.received.size ?? 0) > 1);
        assert.deepEqual((await judged(world)).reasons, []);
        assert.equal(await call, grpc.status.OK);
      },
      { ...captureLimits, drainTimeoutMs: 2_000 },
    );
  });

  it("is in doubt while a handler is at work", { timeout }, async () => {
    await inWorld(async (world) => {
      const [near, far] = world.applications;
      assert.ok(near && far);
      const call = near.unary("t/p1", "t/p0>t/p1#long", { untilReleased: true }, {});
      await until("the handler has begun", () => far.ledger.received.size > 0);
      const { exact, reasons } = await judged(world);
      assert.deepEqual([exact, codesOf(reasons)], [false, ["CallsInProcess"]]);
      far.release();
      assert.equal(await call, grpc.status.OK);
    });
  });

  it("is in doubt while the application's own sending is backed up", { timeout }, async () => {
    await inWorld(
      async (world) => {
        const [near, far] = world.applications;
        assert.ok(near && far);
        const key = "t/p0>t/p1#backed-up";
        const call = near
          .dial("t/p1")
          .makeBidiStreamRequest(ledgerService.chat.path, sameBytes, sameBytes, metadataOf(key), {});
        call.on("error", () => {});
        call.on("data", (message: Buffer) => near.ledger.receive(message));
        const first = JSON.stringify({ reading: "once" });
        for (let i = 0; i < 40; i += 1) call.write(near.ledger.send(key, "request", 60_000, i === 0 ? first : ""));
        await until("nothing moves any more", () => {
          const [link] = world.members[0]?.plane.driver.links.values() ?? [];
          return [...(link?.calls.values() ?? [])].some(({ outbound }) => outbound.bytes > 200_000);
        });
        await delay(50);
        const { exact } = await judged(world);
        assert.equal(exact, false);
        call.cancel();
      },
      captureLimits,
      16_384,
    );
  });

  it("is in doubt while the application has answers that it may not have read", { timeout }, async () => {
    await inWorld(async (world) => {
      const [near, far] = world.applications;
      assert.ok(near && far);
      const key = "t/p0>t/p1#unread";
      const request = near.ledger.send(key, "request", 0, JSON.stringify({ count: 6 }));
      const call = near
        .dial("t/p1")
        .makeServerStreamRequest(ledgerService.list.path, sameBytes, sameBytes, request, metadataOf(key), {});
      call.on("error", () => {});
      call.on("data", (message: Buffer) => {
        near.ledger.receive(message);
        call.pause();
      });
      await until("the answer has been given", () => far.ledger.ended.has(`${key}|callee`));
      await until("the first message is read", () => near.ledger.received.size > 0);
      await delay(50);
      const { exact } = await judged(world);
      assert.equal(exact, false);
      call.resume();
      call.cancel();
    });
  });

  it("is in doubt while the application serves a call of its own", { timeout }, async () => {
    await inWorld(async (world) => {
      const [near] = world.applications;
      assert.ok(near);
      const call = near.unary("t/p0", "t/p0>t/p0#own", { untilReleased: true }, {});
      await until("the handler has begun", () => near.ledger.received.size > 0);
      const { exact, reasons } = await judged(world);
      assert.equal(exact, false, reasons.join());
      near.release();
      assert.equal(await call, grpc.status.OK);
    });
  });

  it("is in doubt when a caller from outside has cancelled a call that may still be at work", { timeout }, async () => {
    await inWorld(async (world) => {
      const [near, far] = world.applications;
      assert.ok(near && far);
      const outside = new grpc.Client(`127.0.0.1:${world.members[1]?.inboundPort}`, grpc.credentials.createInsecure());
      const key = "outside>t/p1#cancelled";
      const request = near.ledger.send(key, "request", 0, JSON.stringify({ untilReleased: true }));
      const call = outside.makeUnaryRequest(
        ledgerService.unary.path,
        sameBytes,
        sameBytes,
        request,
        metadataOf(key),
        {},
        () => near.ledger.end(key, "caller", "CANCELLED"),
      );
      await until("the handler has begun", () => far.ledger.received.size > 0);
      call.cancel();
      await until("the handler is told", () => far.ledger.ended.has(`${key}|callee`));
      const { exact, reasons } = await judged(world);
      assert.deepEqual([exact, codesOf(reasons)], [false, ["CancelledCallMayRun"]]);
      far.release();
      outside.close();
    });
  });

  it("lets traffic go at once when it is given up", { timeout }, async () => {
    await inWorld(
      async (world) => {
        const [near] = world.applications;
        const [member] = world.members;
        assert.ok(near && member);
        const ref = { snapshotId: "given-up", attempt: 1 };
        member.start(ref);
        await until("traffic stands still", () => member.plane.gate.fromApplication === "frozen");
        const call = near.unary("t/p1", "t/p0>t/p1#waits", {}, {});
        member.end(ref);
        assert.equal(await call, grpc.status.OK);
        await until("the gate is open", () => member.plane.gate.toApplication === "open");
        assert.equal(member.plane.gate.fromApplication, "open");
        for (const other of world.members) other.end(ref);
        assert.deepEqual((await judged(world)).reasons, []);
      },
      { ...captureLimits, guardMs: 400 },
    );
  });

  for (const cancelShare of [0, 0.2]) {
    it(`never calls itself exact wrongly in random traffic, with ${cancelShare * 100} % cancelled`, {
      timeout,
    }, async () => {
      await inWorld(async (world) => {
        await connectAll(world, ids);
        const random = seeded(17 + cancelShare);
        const open = new Set<string>();
        const disturbances: string[] = [];
        let going = true;
        const traffic = world.applications.map((application, i) =>
          runTraffic({
            id: ids[i] as string,
            peers: [ids[1 - i] as string],
            application,
            random,
            width: 2,
            cancelShare,
            messageBytesMax: 3_000,
            open,
            goOn: () => going,
            onWrong: (what) => disturbances.push(what),
          }),
        );
        const endMs = performance.now() + trafficMs;
        try {
          while (performance.now() < endMs) {
            await judged(world);
            await delay(5);
          }
        } finally {
          going = false;
          await Promise.all(traffic);
        }
        assert.deepEqual(disturbances, []);
        assert.deepEqual(
          world.applications.flatMap(({ ledger }) => ledger.outOfTurn),
          [],
        );
        await until("nothing is kept", () => keptCalls(world.members).length === 0, 4_000).catch(() => undefined);
        assert.deepEqual(keptCalls(world.members), []);
      });
    });
  }
});
