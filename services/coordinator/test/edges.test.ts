import assert from "node:assert/strict";
import { afterEach, it } from "node:test";
import { ChannelReport } from "@cutline/proto/control";
import { status } from "@grpc/grpc-js";
import { type Store, StoreError } from "../src/store/port.ts";
import { describeOnEachStore } from "./support/each-store.ts";
import { withFaults } from "./support/faults.ts";
import { rawAttach } from "./support/raw-attach.ts";
import { idOf, takePart, World, type WorldOptions } from "./support/world.ts";

describeOnEachStore("at the edges, a coordinator", (openStore) => {
  let world: World | undefined;
  let store: Store | undefined;

  afterEach(async () => {
    await world?.stop();
    await store?.close();
  });

  async function open(options: WorldOptions & { readonly faults?: (store: Store) => Partial<Store> } = {}) {
    store = await openStore();
    const faulty = withFaults(store, options.faults?.(store) ?? {});
    world = await World.open({ ...options, store: faulty });
    const [a, b] = [world.agent("bank/a"), world.agent("bank/b")];
    await a.attach();
    await b.attach();
    return { world, store, a, b };
  }

  it("takes a part and a snapshot of exactly their limits", async () => {
    const { world, a, b } = await open({ limits: { stateBytesMax: 300_000, snapshotBytesMax: 300_001 } });
    const id = idOf(await world.driver.start({ attempts: 1 }));
    const ref = await a.started();
    for (const agent of [a, b]) agent.cut(ref);
    await a.upload(ref, "local", Buffer.alloc(300_000));
    await b.upload(ref, "local", Buffer.alloc(1));
    assert.equal((await world.ended(id)).phase, "Completed");
  });

  for (const [what, limits] of [
    ["stateBytesMax = 299999", { stateBytesMax: 299_999 }],
    ["snapshotBytesMax = 300000", { snapshotBytesMax: 300_000 }],
  ] as const) {
    it(`refuses one byte beyond ${what}, and says so`, async () => {
      const { world, a, b } = await open({ limits });
      const id = idOf(await world.driver.start({}));
      const ref = await a.started();
      for (const agent of [a, b]) agent.cut(ref);
      const uploads = await Promise.allSettled([
        b.upload(ref, "local", Buffer.alloc(1)),
        a.upload(ref, "local", Buffer.alloc(300_000)),
      ]);
      assert.ok(uploads.some((upload) => upload.status === "rejected"));
      const snapshot = await world.ended(id);
      assert.deepEqual([snapshot.phase, snapshot.reason], ["Failed", "StateTooLarge"]);
      assert.match(snapshot.message, new RegExp(what));
    });
  }

  it("gives back the bytes of an upload that failed, and does not count a repeat", async () => {
    const { world, a, b } = await open({ limits: { snapshotBytesMax: 20 } });
    const id = idOf(await world.driver.start({ attempts: 1 }));
    const ref = await a.started();
    for (const agent of [a, b]) agent.cut(ref);
    for (let tries = 0; tries < 3; tries += 1) {
      const wrong = a.upload(ref, "local", Buffer.alloc(10), { sha256: "00" });
      await assert.rejects(wrong, { code: status.DATA_LOSS });
    }
    await a.local(ref, "0123456789");
    await a.local(ref, "0123456789");
    await b.local(ref, "0123456789");
    assert.equal((await world.ended(id)).phase, "Completed");
  });

  it("makes one snapshot of many requests with one key, also where only one may run", async () => {
    const { world } = await open({ limits: { concurrentMax: 1, minimumPauseMs: 60_000 } });
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => world.driver.start({ idempotencyKey: "k" })));
    assert.deepEqual(outcomes.map(({ outcome }) => outcome).sort(), ["accepted", ...Array(7).fill("existing")]);
    assert.equal(new Set(outcomes.map(idOf)).size, 1);
    assert.equal((await world.store.list({ limit: 10 })).snapshots.length, 1);
  });

  it("is aborted while it verifies, and whatever the reading finds then changes nothing", async () => {
    const reading = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const { world, a, b } = await open({
      faults: (store) => ({
        async *readPart(key) {
          reading.resolve();
          await goOn.promise;
          yield* store.readPart(key);
        },
      }),
    });
    const id = idOf(await world.driver.start({}));
    const ref = await a.started();
    await takePart(a, b, ref);
    await reading.promise;
    assert.equal((await world.driver.get(id))?.phase, "Verifying");
    assert.equal((await world.driver.abort(id)).outcome, "aborted");
    goOn.resolve();
    assert.equal((await a.endOf(id)).phase, "Aborted");
    assert.equal((await world.ended(id)).phase, "Aborted");
    assert.deepEqual(await world.driver.abort(id), { outcome: "ended" });
    const part = { ...ref, kind: "local" as const, owner: "bank/a" };
    await world.until("removal of the parts", async () => ((await world.store.statPart(part)) ? undefined : true));
  });

  it("removes a snapshot whose end was said and is not with the store yet, as soon as it is", async () => {
    const writing = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const { world, store, a } = await open({
      faults: (store) => ({
        async update(term, snapshot) {
          if (snapshot.phase === "Aborted") {
            writing.resolve();
            await goOn.promise;
          }
          return await store.update(term, snapshot);
        },
      }),
    });
    const id = idOf(await world.driver.start({}));
    await a.started();
    assert.equal((await world.driver.abort(id)).outcome, "aborted");
    await writing.promise;
    assert.equal((await world.driver.get(id))?.phase, "Aborted");
    const removal = world.driver.remove(id);
    goOn.resolve();
    assert.equal(await removal, "removed");
    assert.equal(await store.get(id), undefined);
    assert.equal(await world.driver.remove(id), "missing");
  });

  it("refuses a removal when the store does not take the end of its snapshot, and while it runs", async () => {
    const { world, a } = await open({
      limits: { removeWaitMs: 20 },
      faults: (store) => ({
        update: (term, snapshot) =>
          snapshot.phase === "Aborted"
            ? Promise.reject(new StoreError("StoreTimeout", "no answer in time", { outcomeUnknown: true }))
            : store.update(term, snapshot),
      }),
    });
    const id = idOf(await world.driver.start({}));
    await a.started();
    assert.equal(await world.driver.remove(id), "running");
    assert.equal((await world.driver.abort(id)).outcome, "aborted");
    await assert.rejects(world.driver.remove(id), { code: "StoreTimeout" });
  });

  it("leaves alone what agents say of snapshots, attempts and processes that are not", async () => {
    const { world, a, b } = await open();
    const stranger = world.agent("bank/c", "1");
    const id = idOf(await world.driver.start({ attempts: 1 }));
    const ref = await a.started();
    const odd = [
      { snapshotId: "", attempt: 0 },
      { snapshotId: "__proto__", attempt: 1 },
      { snapshotId: "constructor", attempt: 1 },
      { snapshotId: `../${id}\u0000`, attempt: 1 },
      { snapshotId: id, attempt: 0 },
      { snapshotId: id, attempt: 2 ** 31 },
    ];
    for (const each of odd) {
      a.cut(each, { exact: false });
      a.channel(each, { channelId: "l:0", from: "nobody" });
      a.say({ $case: "captureFailed", value: { ref: each, reason: undefined } });
      await assert.rejects(a.local(each, "x"), { code: status.FAILED_PRECONDITION });
    }
    await assert.rejects(a.local({ snapshotId: "x".repeat(100_000), attempt: 1 }, "x"), {
      code: status.INVALID_ARGUMENT,
    });
    const welcome = await stranger.attach({ openSnapshots: odd });
    assert.deepEqual(welcome.running, [{ ...welcome.running[0], ref }]);
    await stranger.endOf(`../${id}\u0000`);
    stranger.cut(ref);
    await stranger.local(ref, "c");
    await takePart(a, b, ref);
    assert.equal((await world.ended(id)).phase, "Completed");
  });

  it("loses only the stream that carries what is no message, or a number no program can hold", async () => {
    const { world, a, b } = await open();
    const report = { channelId: "l:0", from: "bank/b", deliveredSum: 2 ** 53 - 1 };
    const ref = { snapshotId: "none", attempt: 1 };
    const channel = ChannelReport.encode(ChannelReport.fromPartial({ ref, ...report })).finish();
    const largest = Buffer.from("ffffffffffffff0f", "hex");
    const at = Buffer.from(channel).indexOf(largest);
    assert.ok(at > 0);
    channel[at + largest.length - 1] = 0x7f;
    const tooLarge = Buffer.concat([Buffer.from([(3 << 3) | 2, channel.length]), channel]);
    for (const bytes of [tooLarge, Buffer.from("ffffffffff", "hex")]) {
      const [first, code] = await rawAttach(world.server.address, "bank/x", bytes);
      assert.equal(first, "welcome");
      assert.notEqual(code, status.OK);
    }
    const id = idOf(await world.driver.start({ attempts: 1 }));
    await takePart(a, b, await a.started());
    assert.deepEqual([(await world.ended(id)).phase, b.ended], ["Completed", undefined]);
  });

  it("fails an attempt by the process that is lost before the others hear of the loss", async () => {
    const { world, a, b } = await open({ limits: { tickMs: 3_600_000 } });
    const id = idOf(await world.driver.start({ attempts: 1 }));
    await a.started();
    await a.directoryOf("bank/a", "bank/b");
    b.breakStream();
    await a.directoryOf("bank/a");
    assert.equal((await world.driver.get(id))?.reason, "ProcessLost");
  });

  it("stops within its bound and closes the connections of agents that do not", async () => {
    const { world, a } = await open();
    await world.driver.start({});
    const upload = a.openUpload(await a.started(), "local", Buffer.from("half"));
    const cut = assert.rejects(upload.answer, { code: status.UNAVAILABLE });
    const beganAtMs = performance.now();
    await world.server.stop();
    await cut;
    assert.ok(performance.now() - beganAtMs < 30_000);
  });

  it("gives up an upload that says nothing more", async () => {
    const { world, a, b } = await open({ agents: { uploadSilenceMs: 1_500 } });
    const id = idOf(await world.driver.start({ attempts: 1 }));
    const ref = await a.started();
    await assert.rejects(a.openUpload(ref, "local", Buffer.from("half")).answer, { code: status.DEADLINE_EXCEEDED });
    await a.local(ref, "state of a");
    // What is stored already is only compared; also that is not waited for without an end.
    await assert.rejects(a.openUpload(ref, "local", Buffer.from("half")).answer, { code: status.DEADLINE_EXCEEDED });
    await takePart(a, b, ref);
    assert.equal((await world.ended(id)).phase, "Completed");
  });
});
