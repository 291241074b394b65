import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SnapshotRef } from "@cutline/protocol";
import * as grpc from "@grpc/grpc-js";
import { startTcpProxy, type TcpProxy } from "../dataplane/tcp-proxy.ts";
import { ledgerService, metadataOf, startApplication, statusName } from "./support/application.ts";
import { judge } from "./support/global-state.ts";
import { introduce } from "./support/member.ts";
import { endSnapshot, keptCalls, letDial, snapshot, startWorld, until, type World } from "./support/world.ts";

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

function nextRef(): SnapshotRef {
  snapshots += 1;
  return { snapshotId: `m${snapshots}`, attempt: 1 };
}

async function judged(world: World, ref: SnapshotRef = nextRef()) {
  await snapshot(world.members, ref);
  const judgement = await judge(world.members, ref);
  endSnapshot(world.members, ref);
  if (judgement.exact) assert.deepEqual([...judgement.violations, ...judgement.wrong], []);
  return judgement;
}

/** Two of everything that a world of two has. */
function pairOf(world: World) {
  const [near, far] = world.applications;
  const [nearMember, farMember] = world.members;
  assert.ok(near && far && nearMember && farMember);
  return { near, far, nearMember, farMember };
}

/** Keeps captures of an application waiting until `release`. */
function hold(application: World["applications"][number]) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const held = application.participant.atomic(() => promise, "a section that takes its time");
  return {
    async release() {
      resolve();
      await held;
    },
  };
}

describe("while an exact cut is made", () => {
  it("a call that ends at the callee in each phase is in the picture once", { timeout }, async () => {
    await inWorld({ ids }, async (world) => {
      const { near, far, nearMember, farMember } = pairOf(world);
      for (const [at, member] of [nearMember, farMember].entries()) {
        const section = hold(at === 0 ? near : far);
        const ref = nextRef();
        for (const each of world.members) each.start(ref);
        await until("traffic stands still", () => member.plane.gate.fromApplication === "frozen");
        const calls = Array.from({ length: 5 }, (_, i) => near.unary("t/p1", `t/p0>t/p1#held${at}.${i}`, {}, {}));
        await section.release();
        const { exact, reasons } = await judged(world, ref);
        assert.deepEqual([exact, reasons], [true, []]);
        assert.deepEqual(new Set(await Promise.all(calls)), new Set([grpc.status.OK]));
      }
    });
  });

  it("a cancellation before its instant, and one after it, leave a picture that is right or in doubt", {
    timeout,
  }, async () => {
    await inWorld({ ids }, async (world) => {
      const { near, far, nearMember, farMember } = pairOf(world);
      let number = 0;
      for (const held of [near, far]) {
        for (const kind of ["unary", "list", "chat"] as const) {
          for (const when of ["before", "during", "late"] as const) {
            number += 1;
            const key = `t/p0>t/p1#${number}-${kind}-${when}`;
            const first = near.ledger.send(key, "request", 0, JSON.stringify({ pauseMs: 5, count: 50 }));
            const client = near.dial("t/p1");
            const end = (code: grpc.status | undefined) => near.ledger.end(key, "caller", statusName(code));
            const open = () => {
              if (kind === "unary") {
                return client.makeUnaryRequest(
                  ledgerService.unary.path,
                  sameBytes,
                  sameBytes,
                  first,
                  metadataOf(key),
                  {},
                  (error, value) => {
                    if (value !== undefined && error === null) near.ledger.receive(value);
                    end(error?.code);
                  },
                );
              }
              const stream =
                kind === "list"
                  ? client.makeServerStreamRequest(
                      ledgerService.list.path,
                      sameBytes,
                      sameBytes,
                      first,
                      metadataOf(key),
                      {},
                    )
                  : client.makeBidiStreamRequest(ledgerService.chat.path, sameBytes, sameBytes, metadataOf(key), {});
              stream.on("error", () => {});
              stream.on("data", (message: Buffer) => near.ledger.receive(message));
              stream.on("status", ({ code }: grpc.StatusObject) => end(code));
              if (kind === "chat") (stream as grpc.ClientDuplexStream<Buffer, Buffer>).write(first);
              return stream;
            };
            const call = open();
            const cancel = () => {
              near.ledger.end(key, "caller", "CANCELLED");
              call.cancel();
            };
            const section = hold(held);
            const ref = nextRef();
            for (const member of world.members) member.start(ref);
            await until("traffic stands still", () =>
              [nearMember, farMember].every(
                (member) =>
                  member.plane.gate.fromApplication !== "open" ||
                  member.isDone(ref) ||
                  member.contribution(ref).cut !== undefined,
              ),
            );
            if (when === "before") cancel();
            const released = section.release();
            if (when === "during") cancel();
            await released;
            if (when === "late") setImmediate(cancel);
            await judged(world, ref);
          }
        }
      }
      await until("nothing is kept", () => keptCalls(world.members).length === 0, 6_000).catch(() => undefined);
      assert.deepEqual(keptCalls(world.members), []);
    });
  });

  it("an end of the snapshot lets traffic go at once, and the next cut is exact", { timeout }, async () => {
    await inWorld({ ids }, async (world) => {
      const { near, nearMember } = pairOf(world);
      const section = hold(near);
      const ref = nextRef();
      nearMember.start(ref);
      await until("traffic stands still", () => nearMember.plane.gate.fromApplication === "frozen");
      nearMember.end(ref);
      await until("traffic flows", () => nearMember.plane.gate.fromApplication === "open");
      await section.release();
      assert.equal(await near.unary("t/p1", "t/p0>t/p1#after", {}, {}), grpc.status.OK);
      endSnapshot(world.members, ref);
      assert.deepEqual((await judged(world)).reasons, []);
    });
  });

  it("a capture that misses its deadline fails, lets traffic go, and the next one is exact", { timeout }, async () => {
    await inWorld({ ids, member: () => ({ captureLimits: { captureTimeoutMs: 200 } }) }, async (world) => {
      const { near, nearMember } = pairOf(world);
      const section = hold(near);
      const ref = nextRef();
      nearMember.start(ref);
      await until("it fails", () => nearMember.contribution(ref).failure !== undefined);
      assert.match(nearMember.contribution(ref).failure ?? "", /^CaptureTimedOut/);
      assert.equal(nearMember.plane.gate.fromApplication, "open");
      await section.release();
      endSnapshot(world.members, ref);
      assert.equal(await near.unary("t/p1", "t/p0>t/p1#after", {}, {}), grpc.status.OK);
      assert.deepEqual((await judged(world)).reasons, []);
    });
  });

  it("an application whose contract breaks off makes the capture fail, and traffic flows", { timeout }, async () => {
    const proxies: TcpProxy[] = [];
    const options = {
      ids,
      async member(_id: string, { port }: { port: number }) {
        const proxy = await startTcpProxy(port);
        proxies.push(proxy);
        return { participantPort: Number(proxy.address.split(":")[1]) };
      },
    };
    await inWorld(options, async (world) => {
      const { near, nearMember } = pairOf(world);
      const section = hold(near);
      const ref = nextRef();
      nearMember.start(ref);
      await until("traffic stands still", () => nearMember.plane.gate.fromApplication === "frozen");
      proxies[0]?.cut();
      await until("it fails", () => nearMember.contribution(ref).failure !== undefined);
      await section.release();
      endSnapshot(world.members, ref);
      assert.equal(await near.unary("t/p1", "t/p0>t/p1#after", {}, {}), grpc.status.OK);
      await until("it is greeted again", () => nearMember.application.unreadyReason === undefined);
      assert.deepEqual((await judged(world)).reasons, []);
    });
    for (const proxy of proxies) await proxy.close();
  });

  it("two cuts that are asked for at once are both right", { timeout }, async () => {
    await inWorld({ ids }, async (world) => {
      const { near, far, nearMember, farMember } = pairOf(world);
      const calls = Array.from({ length: 20 }, (_, i) =>
        near.unary("t/p1", `t/p0>t/p1#two${i}`, { pauseMs: i % 7 }, {}),
      );
      const sections = [hold(near), hold(far)];
      const [first, second] = [nextRef(), nextRef()];
      nearMember.start(first);
      farMember.start(second);
      await until("traffic stands still", () => nearMember.plane.gate.fromApplication === "frozen");
      for (const section of sections) await section.release();
      const [one, other] = await Promise.all([judged(world, first), judged(world, second)]);
      assert.deepEqual([one.reasons, other.reasons], [[], []]);
      assert.deepEqual(new Set(await Promise.all(calls)), new Set([grpc.status.OK]));
    });
  });

  it("a link that breaks and is resumed loses nothing and doubles nothing", { timeout }, async () => {
    await inWorld({ ids }, async (world) => {
      const { near, nearMember, farMember } = pairOf(world);
      const proxy = await startTcpProxy(farMember.linkPort);
      introduce(world.members, { "t/p1": Number(proxy.address.split(":")[1]) });
      for (let round = 0; round < 5; round += 1) {
        const calls = Array.from({ length: 10 }, (_, i) =>
          near.unary("t/p1", `t/p0>t/p1#r${round}.${i}`, { pauseMs: 2 * i }, { bytes: 20_000 }),
        );
        const section = hold(near);
        const ref = nextRef();
        for (const member of world.members) member.start(ref);
        await until("traffic stands still", () => nearMember.plane.gate.fromApplication === "frozen");
        proxy.cut();
        await section.release();
        assert.deepEqual((await judged(world, ref)).reasons, []);
        assert.deepEqual(new Set(await Promise.all(calls)), new Set([grpc.status.OK]));
      }
      await proxy.close();
    });
  });

  it("an application that is started anew fails the capture under way, and can be captured exactly afterwards", {
    timeout,
  }, async () => {
    await inWorld({ ids }, async (world) => {
      const { near, far, nearMember, farMember } = pairOf(world);
      const ended: grpc.status[] = [];
      const made: { cancel(): void }[] = [];
      // Streams in both directions that the old application will never end.
      for (const [from, to] of [
        [near, "t/p1"],
        [far, "t/p0"],
      ] as const) {
        for (let i = 0; i < 5; i += 1) {
          const key = `${to}#old${i}`;
          const call = from
            .dial(to)
            .makeBidiStreamRequest(ledgerService.chat.path, sameBytes, sameBytes, metadataOf(key), {});
          call.on("error", () => {});
          call.on("data", (message: Buffer) => from.ledger.receive(message));
          if (from === far) made.push(call);
          else call.on("status", ({ code }: grpc.StatusObject) => ended.push(code));
          call.write(from.ledger.send(key, "request", 0, "{}"));
        }
      }
      await until("all have been answered", () => near.ledger.received.size + far.ledger.received.size === 20);
      const section = hold(far);
      const ref = nextRef();
      farMember.start(ref);
      await until("traffic stands still", () => farMember.plane.gate.fromApplication === "frozen");
      far.stop();
      // Its process is this one, which goes on, so that its connections do not break by themselves.
      for (const call of made) call.cancel();
      await until("the capture fails", () => farMember.contribution(ref).failure !== undefined);
      await section.release();
      endSnapshot(world.members, ref);
      await until("the caller has heard", () => ended.length === 5);
      assert.ok(ended.every((code) => code !== grpc.status.OK));

      const clients: grpc.Client[] = [];
      const renewed = await startApplication("t/p1", "participant", far.port);
      letDial(renewed, farMember, clients);
      await until("the new one is greeted", () => farMember.application.unreadyReason === undefined);
      // Its ids begin at 1 again, like those of the old one's calls.
      const calls = [
        ...Array.from({ length: 5 }, (_, i) => near.unary("t/p1", `t/p0>t/p1#new${i}`, { pauseMs: 30 }, {})),
        ...Array.from({ length: 5 }, (_, i) => renewed.unary("t/p0", `t/p1>t/p0#new${i}`, { pauseMs: 30 }, {})),
      ];
      const next = nextRef();
      await snapshot(world.members, next);
      const { exact, reasons, violations, wrong } = await judge(world.members, next);
      endSnapshot(world.members, next);
      assert.deepEqual([exact, reasons, violations], [true, [], []]);
      assert.deepEqual(
        wrong.filter((what) => what.includes("#new")),
        [],
      );
      assert.deepEqual(new Set(await Promise.all(calls)), new Set([grpc.status.OK]));
      assert.equal(nearMember.contribution(next).failure, undefined);
      for (const client of clients) client.close();
      renewed.stop();
    });
  });
});
