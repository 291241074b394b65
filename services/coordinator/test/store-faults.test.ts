import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { openEmbeddedStore } from "../src/store/embedded.ts";
import { type Store, StoreError } from "../src/store/port.ts";
import { withFaults } from "./support/faults.ts";
import { idOf, takePart, World } from "./support/world.ts";

describe("a store in trouble", () => {
  let store: Store;
  let world: World | undefined;

  beforeEach(async () => {
    store = await openEmbeddedStore({ path: ":memory:", operationTimeoutMs: 2_000 });
  });

  afterEach(async () => {
    await world?.stop();
    await store.close();
  });

  /** A snapshot of two processes over a store of which some methods are replaced; resolves when all is gathered. */
  async function gather(faults: Partial<Store>, attempts = 1) {
    world = await World.open({ store: withFaults(store, faults) });
    const [a, b] = [world.agent("bank/a"), world.agent("bank/b")];
    await a.attach();
    await b.attach();
    const id = idOf(await world.driver.start({ attempts, timeoutMs: 30_000 }));
    const ref = await a.started();
    await takePart(a, b, ref);
    return { world, a, id };
  }

  it("that reads back other bytes than were committed makes no snapshot Completed (I5)", async () => {
    const { world, id } = await gather({
      async *readPart() {
        yield Buffer.from("other bytes");
      },
    });
    const snapshot = await world.ended(id);
    assert.deepEqual([snapshot.phase, snapshot.reason], ["Failed", "PartCorrupt"]);
  });

  it("that publishes and does not say so has its publication read back", async () => {
    let tries = 0;
    const { world, id, a } = await gather({
      async publish(term, snapshot) {
        tries += 1;
        await store.publish(term, snapshot);
        throw new StoreError("StoreTimeout", "no answer in time", { outcomeUnknown: true });
      },
    });
    assert.equal((await a.endOf(id)).phase, "Completed");
    assert.equal((await world.ended(id)).phase, "Completed");
    assert.equal(tries, 1);
  });

  it("that never takes the publication ends with Failed, said only after the store has taken that", async () => {
    const { world, id, a } = await gather({
      publish: () => Promise.reject(new StoreError("StoreTimeout", "no answer in time", { outcomeUnknown: true })),
    });
    assert.equal((await a.endOf(id)).phase, "Failed");
    assert.equal((await store.get(id))?.reason, "PublicationFailed");
    assert.equal((await world.driver.get(id))?.phase, "Failed");
  });

  it("that is full fails the attempt and leaves the coordinator well", async () => {
    world = await World.open({
      store: withFaults(store, {
        writePart: () => Promise.reject(new StoreError("StoreFull", "the disk is full")),
      }),
    });
    const a = world.agent("bank/a");
    await a.attach();
    const id = idOf(await world.driver.start({ attempts: 1 }));
    await assert.rejects(a.local(await a.started(), "x"), /StoreFull/);
    assert.equal((await world.ended(id)).reason, "StoreFull");
    assert.deepEqual(await world.driver.readiness(), { outcome: "ready" });
  });
});
