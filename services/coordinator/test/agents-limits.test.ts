import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { AgentStatus } from "@cutline/proto/control";
import type { FakeAgent } from "./support/fake-agent.ts";
import { idOf, takePart, World } from "./support/world.ts";

const statusEntriesMax = 3;
const link = { peerProcessId: "bank/b", phase: "connected", openCalls: 1, sent: 2, received: 3 };
const peer = { direction: "outbound", calls: 3, openCalls: 1 };

describe("what an agent lists", () => {
  let world: World | undefined;

  afterEach(async () => {
    await world?.stop();
  });

  function statusOf(entries: number): AgentStatus {
    const names = Array.from({ length: entries }, (_, n) => `name-${n}`);
    return {
      ready: true,
      reasons: names.map((code) => ({ code, message: "", processId: "bank/a" })),
      links: names.map((linkId) => ({ ...link, linkId })),
      environment: names.map((authority) => ({ ...peer, authority })),
    };
  }

  async function attach(): Promise<{ world: World; a: FakeAgent; b: FakeAgent }> {
    const opened = await World.open({ agents: { statusEntriesMax } });
    world = opened;
    const [a, b] = [opened.agent("bank/a"), opened.agent("bank/b")];
    await a.attach();
    await b.attach();
    return { world: opened, a, b };
  }

  function kept({ driver }: World) {
    const { processes, links, environment } = driver.topology();
    const { ready, reasons } = processes.find(({ id }) => id === "bank/a") ?? {};
    return { ready, codes: reasons?.map(({ code }) => code), links: links.length, peers: environment.length };
  }

  it("is kept up to statusEntriesMax of each kind", async () => {
    const { world, a } = await attach();
    a.say({ $case: "status", value: statusOf(statusEntriesMax) });
    const expected = { ready: true, codes: ["name-0", "name-1", "name-2"], links: 3, peers: 3 };
    await world.until("the status", () => (kept(world).ready ? true : undefined));
    assert.deepEqual(kept(world), expected);
  });

  for (const list of ["reasons", "links", "environment"] as const) {
    it(`is not kept with more ${list}, and the topology and the log say so; snapshots go on`, async () => {
      const { world, a, b } = await attach();
      a.say({ $case: "status", value: { ...statusOf(1), [list]: statusOf(statusEntriesMax + 1)[list] } });
      const line = await world.until("the refusal", () =>
        world.lines.find(({ message }) => message === "status of an agent not kept"),
      );
      assert.match(String(line.fields.reason), /statusEntriesMax = 3/);
      assert.deepEqual(kept(world), { ready: false, codes: ["StatusTooLarge"], links: 0, peers: 0 });
      const id = idOf(await world.driver.start({}));
      await takePart(a, b, await a.started());
      assert.equal((await world.ended(id)).phase, "Completed");
    });
  }

  it("cannot make a document that cannot be read (counts beyond 2^48)", async () => {
    const { world, a } = await attach();
    const id = idOf(await world.driver.start({ attempts: 1 }));
    const ref = await a.started();
    const sent = { channelId: "l:0", to: "bank/b", sentAtCut: 5, markersSent: 0, markersSentSum: 0, outboxCount: 1 };
    a.cut(ref, { outgoing: [{ ...sent, outboxMessages: Number.MAX_SAFE_INTEGER }] });
    const ended = await world.ended(id);
    assert.deepEqual([ended.phase, ended.reason], ["Failed", "EvidenceInvalid"]);
    assert.match(ended.message, /bank\/a .* outboxMessages 9007199254740991/);
  });
});
