import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { openEmbeddedStore } from "../src/store/embedded.ts";
import type { Store } from "../src/store/port.ts";
import { idOf, takePart, World } from "./support/world.ts";

describe("two coordinators with one store", () => {
  let store: Store;
  const worlds: World[] = [];

  beforeEach(async () => {
    store = await openEmbeddedStore({ path: ":memory:", operationTimeoutMs: 2_000 });
  });

  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.stop();
    await store.close();
  });

  async function open(): Promise<World> {
    const world = await World.open({ store, limits: { leaseMs: 4_500 }, graceMs: 1_000 });
    worlds.push(world);
    return world;
  }

  async function leads(world: World): Promise<void> {
    await world.until("leadership", () => (world.driver.term() === undefined ? undefined : true));
  }

  it("have one leader; the other is not ready and sends agents away", async () => {
    const leader = await open();
    const other = await open();
    assert.deepEqual(await leader.driver.readiness(), { outcome: "ready" });
    assert.equal((await other.driver.readiness()).outcome, "standby");
    const agent = other.agent("bank/a");
    agent.open();
    assert.equal((await agent.end()).code, status.UNAVAILABLE);
    assert.partialDeepStrictEqual(await other.driver.start({}), { code: "NotLeading" });
  });

  it("hand over: the next one goes on with a new attempt, and what was Completed stays as it was", async () => {
    const first = await open();
    const [a, b] = [first.agent("bank/a", "1"), first.agent("bank/b", "1")];
    await a.attach();
    await b.attach();
    const done = idOf(await first.driver.start({}));
    const doneRef = await a.started();
    await takePart(a, b, doneRef);
    const published = await first.ended(done);
    const running = idOf(await first.driver.start({}));
    const ref = await a.started([doneRef]);
    a.cut(ref);
    await first.until("progress in the store", async () => {
      const stored = await store.get(running);
      return stored?.progress?.processesCut === 1 ? stored : undefined;
    });
    const second = await open();
    await first.stop();
    worlds.splice(worlds.indexOf(first), 1);
    await leads(second);

    const [c, d] = [second.agent("bank/a", "1"), second.agent("bank/b", "1")];
    await c.attach({ openSnapshots: [ref] });
    await d.attach();
    assert.equal((await c.endOf(running)).reason, "AttemptOver");
    const next = await c.started();
    assert.deepEqual(next, { snapshotId: running, attempt: 2 });
    await takePart(c, d, next);
    const snapshot = await second.ended(running);
    assert.equal(snapshot.phase, "Completed");
    assert.equal(snapshot.earlierAttempts[0]?.reason, "CoordinatorRestarted");
    assert.ok(snapshot.term > published.term);
    assert.deepEqual(await store.get(done), published);
  });

  it("hand over before anything of an attempt was reported: the next one waits for all who took part", async () => {
    const first = await open();
    const [a, b] = [first.agent("bank/a", "1"), first.agent("bank/b", "1")];
    await a.attach();
    await b.attach();
    const id = idOf(await first.driver.start({}));
    const ref = await a.started();
    await first.until("the processes in the store", async () =>
      (await store.get(id))?.processes.length === 2 ? true : undefined,
    );
    await first.stop();
    worlds.splice(worlds.indexOf(first), 1);
    const second = await open();
    await leads(second);
    const [c, d] = [second.agent("bank/a", "1"), second.agent("bank/b", "1")];
    assert.deepEqual((await c.attach({ openSnapshots: [ref] })).running, []);
    assert.equal((await second.driver.get(id))?.phase, "Pending");
    await d.attach();
    await takePart(c, d, await c.started());
    const snapshot = await second.ended(id);
    assert.deepEqual([snapshot.phase, snapshot.attempt], ["Completed", 2]);
  });

  it("hand over: a snapshot that is asked for at once waits until the agents have had time to come back", async () => {
    await (await open()).stop();
    worlds.splice(0);
    const world = await World.open({ store, limits: { leaseMs: 60_000, settleMs: 3_000 }, graceMs: 1_000 });
    worlds.push(world);
    await leads(world);
    const [a, b] = [world.agent("bank/a"), world.agent("bank/b")];
    await a.attach();
    const id = idOf(await world.driver.start({ attempts: 1 }));
    assert.equal((await world.driver.get(id))?.phase, "Pending");
    await b.attach();
    await takePart(a, b, await a.started());
    const snapshot = await world.ended(id);
    assert.deepEqual([snapshot.phase, snapshot.processes.length], ["Completed", 2]);
  });

  it("never publish by the one whose term has passed", async () => {
    const first = await open();
    const [a, b] = [first.agent("bank/a"), first.agent("bank/b")];
    await a.attach();
    await b.attach();
    const id = idOf(await first.driver.start({ attempts: 1 }));
    const ref = await a.started();
    const term = first.driver.term() ?? 0;
    // Another replica is granted the lease behind the leader's back, as after a long stop of its machine.
    await store.releaseLease(term);
    const taken = await store.acquireLease("other", 60_000);
    assert.equal(taken.outcome, "acquired");
    await Promise.allSettled([takePart(a, b, ref)]);
    await first.until("loss of the lead", () => (first.driver.term() === undefined ? true : undefined));
    assert.notEqual((await store.get(id))?.phase, "Completed");
  });
});
