import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { openEmbeddedStore } from "../src/store/embedded.ts";
import { type Store, StoreError } from "../src/store/port.ts";
import { bytesOf, lead, part, put, readAll, snapshot } from "./store/fixtures.ts";
import type { FakeAgent } from "./support/fake-agent.ts";
import { withFaults } from "./support/faults.ts";
import { idOf, takePart, World } from "./support/world.ts";

/** Longer than any test: nobody loses the lead but by what the test does. */
const leaseMs = 60_000;
/** For those that wait for the end of a lease, or for the answer to a renewal; a busy machine keeps it all the same. */
const shortLeaseMs = 4_500;

describe("a coordinator whose lead has passed while it waited", { timeout: 180_000 }, () => {
  let store: Store;
  let world: World | undefined;
  /** What a test holds back, let go at its end at the latest, for a coordinator stops only when its store has answered. */
  const gates: PromiseWithResolvers<void>[] = [];

  beforeEach(async () => {
    store = await openEmbeddedStore({ path: ":memory:", operationTimeoutMs: 2_000 });
  });

  afterEach(async () => {
    for (const gate of gates.splice(0)) gate.resolve();
    await world?.stop();
    await store.close();
  });

  function newGate(): PromiseWithResolvers<void> {
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    return gate;
  }

  /** Another replica is granted the lease, as after a long stop of the leader's machine. */
  async function succeed(term: number): Promise<number> {
    await store.releaseLease(term);
    return await lead(store, "other", leaseMs);
  }

  it("leads anew with another term, and its own late publication completes nothing (I5, I9)", async () => {
    const publishing = Promise.withResolvers<void>();
    const goOn = newGate();
    const published = Promise.withResolvers<string>();
    let deaf = false;
    world = await World.open({
      store: withFaults(store, {
        async publish(term, document) {
          publishing.resolve();
          await goOn.promise;
          published.resolve(await store.publish(term, document));
          throw unanswered();
        },
        async renewLease(term, forMs) {
          const unheard = deaf;
          const outcome = await store.renewLease(term, forMs);
          if (unheard) throw unanswered();
          return outcome;
        },
      }),
      limits: { leaseMs: shortLeaseMs },
    });
    const { driver } = world;
    const [a, b] = [world.agent("bank/a"), world.agent("bank/b")];
    await a.attach();
    await b.attach();
    const id = idOf(await driver.start({ attempts: 1 }));
    await takePart(a, b, await a.started());
    await publishing.promise;
    deaf = true;
    await world.until("the end of the lease", () => (driver.term() === undefined ? true : undefined));
    deaf = false;
    await world.until("a lead anew", () => driver.term());
    goOn.resolve();
    assert.equal(await published.promise, "fenced");
    const ended = await world.ended(id);
    assert.deepEqual([ended.phase, ended.reason], ["Failed", "CoordinatorRestarted"]);
  });

  it("keeps the parts of a snapshot it took over while the store has not taken its end", async () => {
    const earlier = await lead(store, "earlier");
    await inStore(earlier);
    await store.releaseLease(earlier);
    let landsFirst = true;
    world = await World.open({
      store: withFaults(store, {
        async update(term, document) {
          // A publication that no fence keeps out: the store has lost the last term.
          if (landsFirst) await store.publish(term, snapshot("s", { phase: "Completed" }));
          landsFirst = false;
          return await store.update(term, document);
        },
      }),
    });
    await world.until("the answer of the store", () => said("snapshot superseded"));
    assert.equal((await store.get("s"))?.phase, "Completed");
    assert.deepEqual(await readAll(store, part("s")), Buffer.from(bytesOf(1_000, 1)));
  });

  it("removes the parts of a snapshot it took over once the store has taken its end", async () => {
    const earlier = await lead(store, "earlier");
    await inStore(earlier);
    await store.releaseLease(earlier);
    world = await World.open({ store });
    await world.until("removal", async () => ((await store.statPart(part("s"))) === undefined ? true : undefined));
    assert.equal((await store.get("s"))?.phase, "Failed");
  });

  it("opens nothing it had asked the store for before (I4, I9)", async () => {
    const reading = Promise.withResolvers<void>();
    const goOn = newGate();
    let slow = true;
    world = await World.open({
      store: withFaults(store, {
        async get(id) {
          const found = await store.get(id);
          if (slow) {
            slow = false;
            reading.resolve();
            await goOn.promise;
          }
          return found;
        },
      }),
      limits: { leaseMs: shortLeaseMs, housekeepingMs: 10 },
    });
    const { driver } = world;
    const term = await world.until("leadership", () => driver.term());
    // Its running time is over long ago: a session of it would say Failed at once.
    await store.create(term, snapshot("s", { attempt: 1, attemptsMax: 3, timeoutMs: 1 }));
    await reading.promise;
    const successor = await succeed(term);
    await world.until("the loss of the lead", () => said("not leading any more"));
    assert.equal(await store.publish(successor, snapshot("s", { phase: "Completed" })), "published");
    goOn.resolve();
    await world.until("the end of housekeeping", () =>
      world?.lines.find(({ message }) => /^(housekeeping failed|snapshot taken over)/.test(message)),
    );
    assert.equal(said("snapshot taken over"), undefined);
    assert.equal((await driver.get("s"))?.phase, "Completed");
  });

  it("tells no agent of an attempt that it has not recorded, which may be its successor's (I8, I9)", async () => {
    const recording = Promise.withResolvers<number>();
    const goOn = newGate();
    const removed: number[] = [];
    world = await World.open({
      store: withFaults(store, {
        async update(term, document) {
          if (document.attempt === 2) {
            recording.resolve(term);
            await goOn.promise;
          }
          return await store.update(term, document);
        },
        async removeParts(term, id, attemptThrough) {
          removed.push(attemptThrough);
          return await store.removeParts(term, id, attemptThrough);
        },
      }),
      limits: { leaseMs, housekeepingMs: leaseMs },
    });
    const { driver } = world;
    const a = world.agent("bank/a");
    await a.attach();
    const id = idOf(await driver.start({ attempts: 3 }));
    const ref = await a.started();
    const reason = { code: "Hung", message: "it hung", processId: "" };
    a.say({ $case: "captureFailed", value: { ref, reason } });
    await succeed(await recording.promise);
    await driver.abort(id);
    goOn.resolve();
    await world.until("the answer of the store", () => said("snapshot superseded"));
    assert.deepEqual(await endsTold(world, a), [ref]);
    assert.ok(removed.every((attemptThrough) => attemptThrough === 1));
    assert.equal((await store.get(id))?.phase, "Cutting");
  });

  it("takes over nothing that a later leader has written (I8, I9)", async () => {
    world = await World.open({ store, limits: { leaseMs, housekeepingMs: 10 } });
    const { driver, lines } = world;
    const a = world.agent("bank/a");
    await a.attach();
    const term = await world.until("leadership", () => driver.term());
    const successor = await succeed(term);
    const createdAt = new Date().toISOString();
    const fields = { phase: "Cutting", attempt: 2, attemptsMax: 3, timeoutMs: leaseMs, createdAt };
    await store.create(successor, snapshot("s", { ...fields, term: successor }));
    await world.until("housekeeping", () =>
      lines.find(({ message }) => /^(housekeeping failed|snapshot taken over)/.test(message)),
    );
    await assert.rejects(driver.abort("s"), { code: "StoreFenced" });
    assert.deepEqual(await endsTold(world, a), []);
  });

  it("says of a snapshot what the store says, from the end of its lease on (I4)", async () => {
    const goOn = newGate();
    let deaf = false;
    world = await World.open({
      store: withFaults(store, {
        async renewLease(term, forMs) {
          if (deaf) await goOn.promise;
          return await store.renewLease(term, forMs);
        },
      }),
      limits: { leaseMs: shortLeaseMs },
    });
    const { driver } = world;
    await world.agent("bank/a").attach();
    const id = idOf(await driver.start({ attempts: 1 }));
    const term = await world.until("leadership", () => driver.term());
    deaf = true;
    await world.until("the end of the lease", () => (driver.term() === undefined ? true : undefined));
    const successor = await succeed(term);
    const completed = { ...snapshot(id, { phase: "Completed" }), createdAt: (await store.get(id))?.createdAt ?? "" };
    assert.equal(await store.publish(successor, completed), "published");
    assert.equal((await driver.get(id))?.phase, "Completed");
    assert.deepEqual(
      (await driver.list({ limit: 10 })).snapshots.map(({ phase }) => phase),
      ["Completed"],
    );
  });

  /** A snapshot whose only attempt had gathered its part when its leader went. */
  async function inStore(term: number): Promise<void> {
    const createdAt = new Date().toISOString();
    const document = snapshot("s", { phase: "Verifying", attempt: 1, attemptsMax: 1, timeoutMs: leaseMs, createdAt });
    await store.create(term, document);
    await put(store, term, part("s"), [bytesOf(1_000, 1)]);
  }

  /** Of which snapshots and attempts the agent has been told the end until now. */
  async function endsTold({ server }: World, agent: FakeAgent) {
    const last = { snapshotId: "last", attempt: 1 };
    server.sendAll({ $case: "end", value: { ref: last, phase: "Failed", reason: "" } });
    await agent.endOf(last.snapshotId);
    return agent.received.flatMap((body) => (body.$case === "end" ? [body.value.ref] : [])).slice(0, -1);
  }

  function said(message: string) {
    return world?.lines.find((line) => line.message === message);
  }
});

function unanswered(): StoreError {
  return new StoreError("StoreTimeout", "no answer in time", { outcomeUnknown: true });
}
