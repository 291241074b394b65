import assert from "node:assert/strict";
import { afterEach, beforeEach, it } from "node:test";
import type { DriverLimits } from "../src/driver/limits.ts";
import type { Store } from "../src/store/port.ts";
import { describeOnEachStore } from "./support/each-store.ts";
import { World } from "./support/world.ts";

const never: Partial<DriverLimits> = { settleMs: 3_600_000 };

describeOnEachStore("the directory", (openStore) => {
  let store: Store;
  const worlds: World[] = [];

  beforeEach(async () => {
    store = await openStore();
  });

  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.stop();
    await store.close();
  });

  async function open(limits: Partial<DriverLimits>): Promise<World> {
    const world = await World.open({ store, limits: { leaseMs: 4_500, ...limits } });
    worlds.push(world);
    await world.until("leadership", () => world.driver.term());
    return world;
  }

  it("comes with the welcome of the first leader, for there was nobody to wait for", async () => {
    const { directory } = await (await open(never)).agent("bank/a").attach();
    assert.deepEqual(
      directory?.processes.map(({ processId }) => processId),
      ["bank/a"],
    );
    assert.ok(Number.isSafeInteger(directory.version));
  });

  it("waits after a take-over until agents are there again, and has a higher version then", async () => {
    const first = await open(never);
    const before = await first.agent("bank/a").attach();
    await first.stop();
    const second = await open({ settleMs: 3_000 });
    const [a, b] = [second.agent("bank/a"), second.agent("bank/b")];
    assert.equal((await a.attach()).directory, undefined);
    await b.attach();
    await a.directoryOf("bank/a", "bank/b");
    const after = a.received.find((body) => body.$case === "directory");
    assert.ok(after?.$case === "directory" && after.value.version > Number(before.directory?.version));
    assert.equal(after.value.processes.length, 2, "a directory went out before its time");
  });

  it("waits too when the same program leads again", async () => {
    const world = await open(never);
    const term = world.driver.term() ?? 0;
    await store.releaseLease(term);
    await world.until("the next term", () => ((world.driver.term() ?? 0) > term ? true : undefined));
    assert.equal((await world.agent("bank/a").attach()).directory, undefined);
  });
});
