import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import {
  type AuditedSnapshot,
  auditSnapshot,
  type System,
  type SystemOptions,
  startSystem,
  until,
} from "../src/index.ts";

/** A system for all tests of a suite. When one of them fails, the last lines of every program are shown and the logs stay. */
export function withSystem(options: SystemOptions): () => System {
  let system: System | undefined;
  let outcome: "passed" | "failed" = "passed";
  before(async () => {
    system = await startSystem(options);
  });
  afterEach((test) => {
    if (!("passed" in test) || test.passed || system === undefined) return;
    outcome = "failed";
    console.error(`${system.tails()}\nlogs: ${system.folder}`);
  });
  after(async () => {
    const ends = Object.entries((await system?.stop(outcome === "failed" ? "keep" : "remove")) ?? {});
    const unclean = ends.filter(([, how]) => how !== "exit code 0");
    assert.deepEqual(unclean, [], "every program ends in good order when it is asked to");
  });
  return () => {
    assert.ok(system, "the system did not start");
    return system;
  };
}

/** Takes a snapshot under load, expects it to complete, and that it is not wrong without saying so. */
export async function takeAudited(system: System, attempts = 1): Promise<AuditedSnapshot> {
  const snapshot = await system.rest.take({ attempts });
  assert.equal(snapshot.phase, "Completed", `${snapshot.reason}: ${snapshot.message}`);
  return audited(system, snapshot);
}

export async function audited(system: System, snapshot: AuditedSnapshot["snapshot"]): Promise<AuditedSnapshot> {
  const result = await auditSnapshot(system, snapshot);
  assert.notEqual(result.judgement, "violated", `snapshot ${snapshot.id}: ${result.problems.join("; ")}`);
  assert.equal(snapshot.certificate?.verdict, "valid");
  assert.equal(snapshot.partial, false, "no call may have gone around the agents");
  return result;
}

/** Waits until one that cannot end by itself is in its midst: some process has cut. */
export async function halfway(system: System, id: string): Promise<void> {
  await until(`snapshot ${id} in its midst`, async () => {
    const { endedAt, reason, message, progress } = await system.rest.get(id);
    assert.equal(endedAt, "", `it has ended already: ${reason}: ${message}`);
    return (progress?.processesCut ?? 0) > 0 ? "halfway" : undefined;
  });
}

/** Which processes proved their capture exact; the others have told why not. */
export function exactProcesses({ snapshot }: AuditedSnapshot): string[] {
  for (const { id, exact, reasons } of snapshot.processes) {
    assert.ok(exact || reasons.length > 0, `${id} is not exact and says nothing of why`);
  }
  return snapshot.processes
    .filter(({ exact }) => exact)
    .map(({ id }) => id)
    .sort();
}

/** Quiet means that no money is on its way: the balances alone are everything, and no call has ever failed. */
export async function assertHarmless(system: System): Promise<void> {
  await system.pauseTraffic();
  const states = await Promise.all(system.branches.map((branch) => branch.state()));
  for (const { branch, failures } of states) assert.deepEqual(failures, {}, `calls of ${branch} failed`);
  const sumCents = states.reduce((sum, { balanceCents, unresolvedCents }) => sum + balanceCents + unresolvedCents, 0);
  assert.equal(sumCents, system.totalCents);
  await system.resumeTraffic();
}
