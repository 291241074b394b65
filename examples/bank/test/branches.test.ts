import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type BranchSettings, startBranch, startOpaqueBranch } from "../src/index.ts";
import { assertConserved, drain, OPENING_CENTS, openBank, totalCents, until } from "./bank.ts";

const opaque = (settings: BranchSettings) => startOpaqueBranch(settings, 0);

describe("branches that send each other money", () => {
  for (const [count, name] of [
    [2, "two"],
    [4, "four"],
  ] as const) {
    it(`${name} of them keep the total to the cent, through chains, cycles and refusals`, async (test) => {
      const branches = await openBank(test, Array(count).fill(startBranch));
      const counters = () => branches.map((branch) => branch.status().state.counters);
      await until("enough of everything", () =>
        counters().every(
          (one) =>
            one.transfersSent > 200 &&
            one.routesSent > 200 &&
            one.settlementsSent > 1_100 &&
            one.chainsForwarded > 20 &&
            one.cyclesClosed > 20 &&
            one.takenBack > 5,
        ),
      );
      await drain(branches);
      assertConserved(branches);
      assert.ok(branches.some((branch) => branch.status().state.balanceCents !== OPENING_CENTS));

      const before = counters();
      for (const branch of branches) branch.resume();
      await until("money again", () => counters().every((one, i) => one.routesSent > (before[i]?.routesSent ?? 0)));
    });
  }

  it("carry large messages to slow readers", async (test) => {
    const branches = await openBank(test, [startBranch, startBranch], { paddingBytes: 65_536, slowReaderMs: 3 });
    await until("settlements", () => branches.every((one) => one.status().state.counters.settlementsReceived > 50));
    await drain(branches);
    assertConserved(branches);
  });

  it("go on though they send more than they have", async (test) => {
    const branches = await openBank(test, [startBranch, startBranch], { openingCents: 5 });
    await until("transfers", () => branches.every((one) => one.status().state.counters.transfersSent > 10));
    await drain(branches);
    assert.ok(branches.every((branch) => branch.status().state.balanceCents >= 0));
    assert.equal(totalCents(branches), 10);
  });

  it("spare opaque ones all calls but transfers", async (test) => {
    const branches = await openBank(test, [opaque, opaque, startBranch, startBranch]);
    const counters = () => branches.map((branch) => branch.status().state.counters);
    await until("transfers", () => counters().every((one) => one.transfersSent > 200 && one.transfersReceived > 200));
    await drain(branches);
    assertConserved(branches);
    for (const { settlementsReceived, settlementsSent, routesForwarded, routesSent } of counters().slice(0, 2)) {
      assert.deepEqual([settlementsReceived, settlementsSent, routesForwarded, routesSent], [0, 0, 0, 0]);
    }
  });
});

describe("a branch that comes up while the others trade", () => {
  it("refuses routes by way of a branch that it cannot reach yet", async (test) => {
    const [first, second] = await openBank(test, [startBranch, startBranch], {}, "idle");
    assert.ok(first && second);
    const trading = second.trade([{ name: "branch-1", authority: "127.0.0.1:1" }]);
    await first.trade([{ name: "branch-2", authority: second.authority }]);
    await until("refused routes", () => second.status().state.counters.refused > 100);
    await drain([first]);
    assertConserved([first, second]);
    assert.equal(second.status().traffic, "waiting");
    await second.stop();
    await trading;
  });
});

describe("a branch that goes away", () => {
  it("leaves what was on its way unresolved at the others, which stop sending to it", async (test) => {
    const branches = await openBank(test, [startBranch, startBranch, startBranch], { concurrency: 2 });
    const [first, gone, third] = branches;
    assert.ok(first && gone && third);
    const left = [first, third];
    const routesSent = () => left.map((branch) => branch.status().state.counters.routesSent);
    await until("settlements", () => left.every((one) => one.status().state.counters.settlementsReceived > 20));
    await drain(left);
    await gone.stop();

    for (const branch of left) branch.resume();
    await until("failures", () => left.every((branch) => "UNAVAILABLE" in branch.status().state.failures));
    const before = routesSent();
    await until("routes go on", () => routesSent().every((sent, index) => sent > (before[index] ?? 0) + 50));
    await drain(left);
    const unresolvedCents = left.reduce((sum, branch) => sum + branch.status().state.unresolvedCents, 0);
    assert.ok(unresolvedCents > 0);
    assert.equal(totalCents(branches) + unresolvedCents, branches.length * OPENING_CENTS);
  });
});

describe("the pages of a branch", () => {
  it("show its state and switch its traffic", async (test) => {
    const branches = await openBank(test, [startBranch, startBranch], { statusPort: 0 });
    const page = `http://127.0.0.1:${branches[0]?.statusPort}`;
    const ask = async (path: string, method = "GET") =>
      (await (await fetch(page + path, { method })).json()) as { traffic?: string; branch?: string };
    assert.equal((await ask("/pause", "POST")).traffic, "paused");
    assert.equal((await ask("/status")).traffic, "paused");
    assert.equal((await ask("/resume", "POST")).traffic, "running");
    assert.equal((await ask("/state")).branch, "branch-1");
    assert.equal((await fetch(`${page}/pause`)).status, 404);
  });

  it("show the state of an opaque one where an agent can read it", async (test) => {
    const branch = await startOpaqueBranch(
      {
        name: "b",
        port: 0,
        openingCents: 5,
        concurrency: 1,
        pauseMs: 0,
        paddingBytes: 0,
        slowReaderMs: 0,
        refusedOneIn: 50,
        seed: "1",
      },
      0,
    );
    test.after(() => branch.stop());
    const response = await fetch(`http://127.0.0.1:${branch.statePort}/state`);
    assert.equal(response.headers.get("content-type"), "application/json");
    assert.deepEqual(await response.json(), branch.status().state);
  });
});
