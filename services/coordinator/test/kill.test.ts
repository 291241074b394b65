import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { checkCertificate } from "@cutline/protocol";
import { FakeAgent } from "./support/fake-agent.ts";
import { Program, until } from "./support/program.ts";
import { startRedis } from "./support/redis-server.ts";
import { takePart } from "./support/world.ts";

describe("the coordinator's program", () => {
  const cleanups: (() => unknown)[] = [];

  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function embeddedUrl(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "coordinator-"));
    cleanups.push(() => rm(folder, { recursive: true }));
    return `file:${join(folder, "sub", "coordinator.db")}`;
  }

  async function redis() {
    const server = await startRedis();
    cleanups.push(() => server.stop());
    return server;
  }

  async function start(storeUrl: string): Promise<Program> {
    const program = await Program.start(storeUrl);
    cleanups.push(() => program.kill());
    return program;
  }

  async function attach({ grpcAddress }: Program): Promise<[FakeAgent, FakeAgent]> {
    const pair: [FakeAgent, FakeAgent] = [
      new FakeAgent(grpcAddress, "bank/a", "1"),
      new FakeAgent(grpcAddress, "bank/b", "1"),
    ];
    for (const agent of pair) {
      cleanups.push(() => agent.close());
      await agent.attach();
    }
    return pair;
  }

  for (const [store, url] of [
    ["the embedded store", embeddedUrl],
    ["Redis", async () => (await redis()).url],
  ] as const) {
    it(`killed and started again on ${store} keeps what was Completed, ends what ran, and goes on`, async () => {
      const storeUrl = await url();
      const first = await start(storeUrl);
      await first.ready();
      const [a, b] = await attach(first);
      const done = await first.begin({ attempts: 1 });
      const doneRef = await a.started();
      await takePart(a, b, doneRef);
      await a.endOf(done);
      const published = await first.get(done);
      assert.equal(published.phase, "Completed");
      const ran = await first.begin({ attempts: 1 });
      a.cut(await a.started([doneRef]));
      const goesOn = await first.begin({ attempts: 3 });
      await first.kill();

      const second = await start(storeUrl);
      await second.ready();
      const failed = await second.ended(ran);
      assert.deepEqual([failed.phase, failed.reason], ["Failed", "CoordinatorRestarted"]);
      const [c, d] = await attach(second);
      const ref = await c.started();
      assert.deepEqual(ref, { snapshotId: goesOn, attempt: 2 });
      await takePart(c, d, ref);
      await c.endOf(goesOn);
      assert.equal((await second.get(goesOn)).phase, "Completed");
      const kept = await second.get(done);
      assert.deepEqual(kept, published);
      assert.equal(checkCertificate(kept.channels).verdict, "valid");
      const state = await fetch(`${second.httpAddress}/v1/snapshots/${done}/processes/bank%2Fa/state`);
      assert.equal(await state.text(), "state of a");
      assert.deepEqual(await second.kill("SIGTERM"), [0, null]);
    });
  }

  it("frozen for longer than its lease is replaced, and says and writes nothing more when it thaws (I9)", async () => {
    const { url } = await redis();
    const first = await start(url);
    await first.ready();
    const [a, b] = await attach(first);
    const id = await first.begin({ attempts: 3 });
    const ref = await a.started();
    first.child.kill("SIGSTOP");
    const second = await start(url);
    await second.ready();
    // What the frozen one has not read yet would complete its attempt.
    const late = Promise.allSettled([takePart(a, b, ref)]);
    const [c, d] = await attach(second);
    const next = await c.started();
    assert.deepEqual(next, { snapshotId: id, attempt: 2 });
    first.child.kill("SIGCONT");
    await late;
    assert.equal((await a.end()).details, "this coordinator does not lead any more");
    await until("the thawed one to see that it does not lead", async () =>
      (await first.isReady()) ? undefined : true,
    );
    assert.ok(!a.received.some(({ $case }) => $case === "end"));
    await takePart(c, d, next);
    const snapshot = await second.ended(id);
    assert.deepEqual([snapshot.phase, snapshot.attempt], ["Completed", 2]);
    assert.deepEqual(await first.get(id), snapshot);
  });

  it("ends what ran when its store was away for longer than the lease", async () => {
    const server = await redis();
    const program = await start(server.url);
    await program.ready();
    const [a, b] = await attach(program);
    const ids = [await program.begin({ attempts: 1 }), await program.begin({ attempts: 3 })];
    const ref = await a.started([{ snapshotId: ids[0] ?? "", attempt: 1 }]);
    process.kill(server.pid, "SIGSTOP");
    const unheard = Promise.allSettled([takePart(a, b, ref)]);
    assert.equal((await a.end()).details, "this coordinator does not lead any more");
    process.kill(server.pid, "SIGCONT");
    await unheard;
    await program.ready();
    assert.equal((await program.ended(ids[0] ?? "")).reason, "CoordinatorRestarted");
    const [c, d] = await attach(program);
    const next = await c.started();
    assert.deepEqual(next, { snapshotId: ids[1], attempt: 2 });
    await takePart(c, d, next);
    assert.equal((await program.ended(ids[1] ?? "")).phase, "Completed");
  });
});
