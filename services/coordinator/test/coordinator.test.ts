import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, describe, it } from "node:test";
import { certificateText, checkCertificate } from "@cutline/protocol";
import { status } from "@grpc/grpc-js";
import type { Store } from "../src/store/port.ts";
import { describeOnEachStore } from "./support/each-store.ts";
import { idOf, takePart, World, type WorldOptions } from "./support/world.ts";

describeOnEachStore("a coordinator", (openStore) => {
  const worlds: World[] = [];
  const stores: Store[] = [];

  async function open(options?: WorldOptions): Promise<World> {
    const store = await openStore();
    stores.push(store);
    const world = await World.open({ store, ...options });
    worlds.push(world);
    return world;
  }

  async function openWithTwo(options?: WorldOptions) {
    const world = await open(options);
    const a = world.agent("bank/a");
    const b = world.agent("bank/b");
    await a.attach();
    await b.attach();
    return { world, a, b };
  }

  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.stop();
    for (const store of stores.splice(0)) await store.close();
  });

  describe("a snapshot of two processes", () => {
    it("is Completed with every part, its proof and a certificate that can be checked again", async () => {
      const { world, a, b } = await openWithTwo();
      const id = idOf(await world.driver.start({ labels: { why: "test" } }));
      const ref = await a.started();
      assert.deepEqual(await b.started(), ref);
      await takePart(a, b, ref);
      assert.equal((await a.endOf(id)).phase, "Completed");
      const snapshot = await world.store.get(id);
      assert.ok(snapshot);
      assert.equal(snapshot.phase, "Completed");
      assert.equal(snapshot.exact, true);
      assert.equal(snapshot.partial, false);
      assert.equal(snapshot.progress?.inFlightMessages, 1);
      assert.deepEqual(
        snapshot.processes.map(({ id: name, phase, stateBytes }) => [name, phase, stateBytes]),
        [
          ["bank/a", "Stored", 10],
          ["bank/b", "Stored", 10],
        ],
      );
      assert.equal(checkCertificate(snapshot.channels).verdict, "valid");
      assert.equal(
        snapshot.certificate?.digest,
        createHash("sha256").update(certificateText(snapshot.channels)).digest("hex"),
      );
      const chunks: Uint8Array[] = [];
      const key = { snapshotId: id, attempt: 1, kind: "channel" as const, owner: "link1:0" };
      for await (const chunk of world.store.readPart(key)) chunks.push(chunk);
      assert.equal(Buffer.concat(chunks).toString(), "frame 5");
    });

    it("runs beside another one and does not mix with it", async () => {
      const { world, a, b } = await openWithTwo();
      const first = idOf(await world.driver.start({}));
      const firstRef = await a.started();
      const second = idOf(await world.driver.start({}));
      const secondRef = await a.started([firstRef]);
      assert.equal(secondRef.snapshotId, second);
      await takePart(a, b, secondRef);
      assert.equal((await world.ended(second)).phase, "Completed");
      assert.equal((await world.driver.get(first))?.phase, "Cutting");
      await takePart(a, b, firstRef);
      assert.equal((await world.ended(first)).phase, "Completed");
    });

    it("counts reports and uploads that are repeated after a reconnect once", async () => {
      const { world, a, b } = await openWithTwo({ graceMs: 60_000 });
      const id = idOf(await world.driver.start({}));
      const ref = await a.started();
      a.cut(ref);
      await a.local(ref, "state of a");
      a.breakStream();
      await world.until("detached", () => world.lines.find(({ message }) => message === "agent detached"));
      const welcome = await a.attach({ openSnapshots: [ref] });
      assert.deepEqual(welcome.running[0]?.ref, ref);
      a.cut(ref);
      assert.equal((await a.local(ref, "state of a")).sizeBytes, 10);
      b.cut(ref);
      await b.local(ref, "state of b");
      const snapshot = await world.ended(id);
      assert.deepEqual([snapshot.phase, snapshot.attempt], ["Completed", 1]);
    });

    it("takes in a process that attaches before all have cut", async () => {
      const { world, a, b } = await openWithTwo();
      const id = idOf(await world.driver.start({}));
      const ref = await a.started();
      a.cut(ref);
      const c = world.agent("bank/c");
      const welcome = await c.attach();
      assert.deepEqual(welcome.running[0]?.ref, ref);
      for (const agent of [b, c]) agent.cut(ref);
      for (const agent of [a, b, c]) await agent.local(ref, "s");
      assert.equal((await world.ended(id)).processes.length, 3);
    });
  });

  describe("a snapshot in trouble", () => {
    it("tries again without a process that is lost, and lists the attempt", async () => {
      const { world, a, b } = await openWithTwo();
      const id = idOf(await world.driver.start({}));
      const ref = await a.started();
      a.cut(ref);
      await a.local(ref, "old");
      b.breakStream();
      const next = await a.started([ref]);
      assert.equal(next.attempt, 2);
      await assert.rejects(a.local(ref, "late"), { code: status.FAILED_PRECONDITION });
      a.cut(next);
      await a.local(next, "new");
      const snapshot = await world.ended(id);
      assert.equal(snapshot.phase, "Completed");
      assert.equal(snapshot.earlierAttempts[0]?.reason, "ProcessLost");
      assert.match(snapshot.earlierAttempts[0]?.message ?? "", /bank\/b/);
      const old = { snapshotId: id, attempt: 1, kind: "local" as const, owner: "bank/a" };
      await world.until("removal of the old part", async () => ((await world.store.statPart(old)) ? undefined : true));
    });

    it("names the process whose capture failed", async () => {
      const { world, a } = await openWithTwo();
      const id = idOf(await world.driver.start({ attempts: 1 }));
      const ref = await a.started();
      a.say({
        $case: "captureFailed",
        value: { ref, reason: { code: "CaptureTimeout", message: "the state did not come", processId: "" } },
      });
      const snapshot = await world.ended(id);
      assert.deepEqual([snapshot.phase, snapshot.reason], ["Failed", "CaptureTimeout"]);
      assert.match(snapshot.message, /bank\/a .*CaptureTimeout: the state did not come/);
      assert.equal((await a.endOf(id)).phase, "Failed");
    });

    it("never completes with an invalid certificate", async () => {
      const { world, a, b } = await openWithTwo();
      const id = idOf(await world.driver.start({ attempts: 1 }));
      const ref = await a.started();
      const sent = { channelId: "l:0", to: b.processId, sentAtCut: 3, markersSent: 0, markersSentSum: 0 };
      a.cut(ref, { outgoing: [{ ...sent, outboxCount: 0, outboxMessages: 0 }] });
      b.cut(ref, { incoming: ["l:0"] });
      const delivered = { deliveredAtCut: 4, deliveredSum: 10, deliveredMax: 4 };
      b.channel(ref, { channelId: "l:0", from: a.processId, markerNumber: 5, ...delivered });
      await a.local(ref, "a");
      // The answer to this upload may come before or after the end it brings about.
      await b.local(ref, "b");
      const snapshot = await world.ended(id);
      assert.deepEqual([snapshot.phase, snapshot.reason], ["Failed", "CertificateInvalid"]);
      assert.equal(snapshot.certificate?.verdict, "invalid");
      assert.match(snapshot.certificate?.violations[0]?.code ?? "", /MarkerMisplaced/);
    });

    it("ends at its deadline and says what is missing", async () => {
      const { world, a } = await openWithTwo();
      const id = idOf(await world.driver.start({ attempts: 1, timeoutMs: 3_000 }));
      const ref = await a.started();
      a.cut(ref);
      const snapshot = await world.ended(id);
      assert.deepEqual([snapshot.phase, snapshot.reason], ["Failed", "DeadlineExceeded"]);
      assert.match(snapshot.message, /not cut: bank\/b; parts not stored: local bank\/a/);
    });

    it("is Aborted on request, once", async () => {
      const { world, a } = await openWithTwo();
      const id = idOf(await world.driver.start({}));
      await a.started();
      const outcome = await world.driver.abort(id);
      assert.equal(outcome.outcome, "aborted");
      assert.equal((await a.endOf(id)).phase, "Aborted");
      await world.ended(id);
      assert.deepEqual(await world.driver.abort(id), { outcome: "ended" });
      assert.deepEqual(await world.driver.abort("nobody"), { outcome: "missing" });
    });
  });

  describe("uploads", () => {
    it("with a wrong hash are refused and may be tried again", async () => {
      const { world, a, b } = await openWithTwo();
      const id = idOf(await world.driver.start({}));
      const ref = await a.started();
      await assert.rejects(a.upload(ref, "local", Buffer.from("x"), { sha256: "00" }), { code: status.DATA_LOSS });
      assert.equal(await world.store.statPart({ ...ref, kind: "local", owner: "bank/a" }), undefined);
      await takePart(a, b, ref);
      assert.equal((await world.ended(id)).phase, "Completed");
    });

    it("that are too large fail the snapshot and name the limit", async () => {
      const { world, a } = await openWithTwo({ limits: { stateBytesMax: 100_000 } });
      const id = idOf(await world.driver.start({}));
      const ref = await a.started();
      await assert.rejects(a.upload(ref, "local", Buffer.alloc(300_000)), {
        code: status.RESOURCE_EXHAUSTED,
        details: /stateBytesMax = 100000/,
      });
      const snapshot = await world.ended(id);
      assert.deepEqual([snapshot.phase, snapshot.reason, snapshot.attempt], ["Failed", "StateTooLarge", 1]);
      assert.match(snapshot.message, /bank\/a/);
    });

    it("for what does not run, by strangers and by earlier incarnations are refused", async () => {
      const { world, a } = await openWithTwo();
      await assert.rejects(a.local({ snapshotId: "none", attempt: 1 }, "x"), { code: status.FAILED_PRECONDITION });
      await world.driver.start({});
      const ref = await a.started();
      const precondition = { code: status.FAILED_PRECONDITION };
      await assert.rejects(a.local({ ...ref, attempt: 2 }, "x"), precondition);
      await assert.rejects(a.upload(ref, "local", Buffer.from("x"), { incarnation: "older" }), precondition);
      await assert.rejects(world.agent("bank/z").local(ref, "x"), precondition);
      await assert.rejects(a.upload(ref, "else", Buffer.from("x")), { code: status.INVALID_ARGUMENT });
      const tooLong = a.upload(ref, "local", Buffer.alloc(300_000), { chunkBytes: 300_000 });
      await assert.rejects(tooLong, { code: status.INVALID_ARGUMENT });
    });

    it("that stand still end with their attempt", async () => {
      const { world, a } = await openWithTwo();
      const id = idOf(await world.driver.start({}));
      const upload = a.openUpload(await a.started(), "local", Buffer.from("half"));
      const refused = assert.rejects(upload.answer, { code: status.FAILED_PRECONDITION, details: /over/ });
      await assert.rejects(
        world.until("a second upload of the part", () => a.local({ snapshotId: id, attempt: 1 }, "whole")),
        { code: status.ABORTED },
      );
      await world.driver.abort(id);
      await refused;
    });

    it("that an agent gives up may begin anew", async () => {
      const { world, a, b } = await openWithTwo();
      const id = idOf(await world.driver.start({}));
      const ref = await a.started();
      const upload = a.openUpload(ref, "local", Buffer.from("half"));
      const cancelled = assert.rejects(upload.answer, { code: status.CANCELLED });
      const busy = () =>
        a.local(ref, "state of a").then(
          () => true,
          ({ code }) => (code === status.ABORTED ? undefined : false),
        );
      assert.equal(await busy(), undefined);
      upload.cancel();
      await cancelled;
      assert.equal(await world.until("the part to be free", busy), true);
      await takePart(a, b, ref);
      assert.equal((await world.ended(id)).phase, "Completed");
    });

    it("of one part with other bytes fail the attempt", async () => {
      const { world, a } = await openWithTwo();
      const id = idOf(await world.driver.start({ attempts: 1 }));
      const ref = await a.started();
      await a.local(ref, "one");
      await assert.rejects(a.local(ref, "two"), { code: status.FAILED_PRECONDITION });
      assert.equal((await world.ended(id)).reason, "EvidenceChanged");
    });
  });

  describe("agents", () => {
    it("of another protocol version are refused with both versions, in the answer and in the log", async () => {
      const world = await open();
      const agent = world.agent("bank/a");
      agent.open({ protocolVersion: 9 });
      const error = await agent.end();
      assert.equal(error.code, status.FAILED_PRECONDITION);
      assert.match(error.details, /version 9, this coordinator 1/);
      assert.match(String(world.lines.find(({ message }) => message === "agent refused")?.fields.reason), /version 9/);
    });

    it("with a bad process id are refused", async () => {
      const world = await open();
      const agent = world.agent("bank/a");
      agent.open({ processId: "no-namespace" });
      assert.equal((await agent.end()).code, status.INVALID_ARGUMENT);
    });

    it("with a port that is none are refused", async () => {
      const world = await open();
      for (const ports of [{ applicationPort: 0 }, { inboundPort: 65_536 }]) {
        const agent = world.agent("bank/a");
        agent.open(ports);
        assert.equal((await agent.end()).code, status.INVALID_ARGUMENT);
      }
    });

    it("learn of each other by the directory", async () => {
      const { world, a, b } = await openWithTwo();
      await a.directoryOf("bank/a", "bank/b");
      b.say({ $case: "leaving", value: {} });
      await a.directoryOf("bank/a");
      assert.deepEqual(
        world.driver.topology().processes.map(({ id }) => id),
        ["bank/a"],
      );
    });

    it("are replaced by a newer stream of the same process", async () => {
      const world = await open();
      const before = world.agent("bank/a");
      await before.attach();
      await world.agent("bank/a").attach();
      assert.equal((await before.end()).code, status.ABORTED);
    });

    it("that fall silent count as detached, and as lost after the grace period", async () => {
      const { world, b } = await openWithTwo({ agents: { heartbeatMs: 40, heartbeatsMissedMax: 2 } });
      const stream = b as unknown as { say: () => void };
      stream.say = () => undefined;
      await world.until("loss", () =>
        world.lines.find(({ message, fields }) => message === "agent lost" && fields.processId === "bank/b"),
      );
    });

    it("are not blamed for the time in which the coordinator itself stood still", async () => {
      const { world, a } = await openWithTwo();
      const beats = () => a.received.filter(({ $case }) => $case === "heartbeat").length;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
      const before = beats();
      await world.until("some heartbeats", () => (beats() >= before + 3 ? true : undefined));
      assert.deepEqual(
        world.driver.topology().processes.map(({ phase }) => phase),
        ["attached", "attached"],
      );
    });

    it("that read too slowly are disconnected", async () => {
      const { world, a, b } = await openWithTwo({ agents: { agentQueueMax: 20 } });
      await a.directoryOf("bank/a", "bank/b");
      a.stopReading();
      const reason = "r".repeat(10_000);
      const ref = { snapshotId: "s", attempt: 1 };
      await world.until("overflow", () => {
        world.server.sendAll({ $case: "end", value: { ref, phase: "Failed", reason } });
        return world.lines.find(({ message }) => message === "agent too slow: disconnected");
      });
      const phases = world.driver.topology().processes.map(({ id, phase }) => [id, phase]);
      assert.deepEqual(phases, [
        ["bank/a", "detached"],
        ["bank/b", "attached"],
      ]);
      assert.equal(b.ended, undefined);
    });
  });

  describe("admission", () => {
    it("gives the same snapshot for the same idempotency key", async () => {
      const { world } = await openWithTwo({ limits: { concurrentMax: 1 } });
      const id = idOf(await world.driver.start({ idempotencyKey: "k" }));
      const again = await world.driver.start({ idempotencyKey: "k" });
      assert.equal(again.outcome, "existing");
      assert.equal(idOf(again), id);
    });

    it("refuses one snapshot too many, too soon, without processes and with an unknown initiator", async () => {
      const { world } = await openWithTwo({ limits: { concurrentMax: 1 } });
      assert.partialDeepStrictEqual(await world.driver.start({ initiator: "bank/z" }), { code: "UnknownInitiator" });
      await world.driver.start({});
      const refused = await world.driver.start({});
      assert.partialDeepStrictEqual(refused, { outcome: "refused", code: "TooManySnapshots", retryAfterMs: 1_000 });
      const empty = await open();
      assert.partialDeepStrictEqual(await empty.driver.start({}), { code: "NoProcesses" });
      const slow = await openWithTwo({ limits: { minimumPauseMs: 60_000 } });
      await slow.world.driver.start({});
      assert.partialDeepStrictEqual(await slow.world.driver.start({}), { code: "TooSoon" });
    });

    it("keeps the newest ended snapshots and removes the others", async () => {
      const { world } = await openWithTwo({ limits: { keepMax: 2 } });
      const ids: string[] = [];
      for (let count = 0; count < 4; count += 1) {
        const id = idOf(await world.driver.start({}));
        ids.push(id);
        await world.driver.abort(id);
        await world.ended(id);
      }
      await world.until("removal", async () =>
        (await world.store.get(ids[0] ?? "")) === undefined ? true : undefined,
      );
      await world.until("removal", async () =>
        (await world.store.get(ids[1] ?? "")) === undefined ? true : undefined,
      );
      assert.ok(await world.store.get(ids[3] ?? ""));
    });
  });
});
