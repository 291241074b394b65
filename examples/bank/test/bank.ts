import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BranchSettings, OpenBranch } from "../src/index.ts";

const WAIT_MAX_MS = 60_000;
export const OPENING_CENTS = 1_000_000;

type Start = (settings: BranchSettings) => Promise<OpenBranch>;

/** Opens one branch for each `start`, all of them peers of one another; they are closed with the test. */
export async function openBank(
  test: TestContext,
  starts: Start[],
  settings: Partial<BranchSettings> = {},
  from: "trading" | "idle" = "trading",
): Promise<OpenBranch[]> {
  const branches = await Promise.all(
    starts.map((start, index) =>
      start({
        name: `branch-${index + 1}`,
        port: 0,
        openingCents: OPENING_CENTS,
        concurrency: 4,
        pauseMs: 0,
        paddingBytes: 0,
        slowReaderMs: 0,
        refusedOneIn: 50,
        seed: "7",
        ...settings,
      }),
    ),
  );
  test.after(() => Promise.all(branches.map((branch) => branch.stop())));
  if (from === "idle") return branches;
  const peers = branches.map((branch) => ({ name: branch.status().state.branch, authority: branch.authority }));
  await Promise.all(branches.map((branch) => branch.trade(peers)));
  return branches;
}

export async function until(what: string, isTrue: () => boolean): Promise<void> {
  const latest = Date.now() + WAIT_MAX_MS;
  while (!isTrue()) {
    assert.ok(Date.now() < latest, `still not: ${what}`);
    await sleep(5);
  }
}

/** Stops the traffic and waits until every call has its answer: then no money is on its way. */
export async function drain(branches: OpenBranch[]): Promise<void> {
  for (const branch of branches) branch.pause();
  await until("all calls answered", () => branches.every((branch) => branch.status().callsOpen === 0));
}

export function totalCents(branches: OpenBranch[]): number {
  return branches.reduce((sum, branch) => sum + branch.status().state.balanceCents, 0);
}

/** No cent is missing, and nothing has failed on the way. */
export function assertConserved(branches: OpenBranch[]): void {
  for (const branch of branches) {
    const { failures, unresolvedCents } = branch.status().state;
    assert.deepEqual({ failures, unresolvedCents }, { failures: {}, unresolvedCents: 0 });
  }
  assert.equal(totalCents(branches), branches.length * OPENING_CENTS);
}
