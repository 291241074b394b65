import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Snapshot } from "@cutline/proto/snapshot";
import { checkCertificate } from "@cutline/protocol";
import { FakeAgent } from "./support/fake-agent.ts";
import { takePart } from "./support/world.ts";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));

interface Program {
  readonly child: ChildProcess;
  readonly httpAddress: string;
  readonly grpcAddress: string;
}

describe("the coordinator's program, killed and started again", () => {
  let folder: string;
  const children: ChildProcess[] = [];
  const agents: FakeAgent[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "coordinator-"));
  });

  after(async () => {
    for (const agent of agents) agent.close();
    for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await rm(folder, { recursive: true });
  });

  /** Resolves when it says that it serves. */
  async function start(): Promise<Program> {
    const child = spawn(process.execPath, [main], {
      env: {
        ...process.env,
        CUTLINE_HTTP_PORT: "0",
        CUTLINE_AGENTS_PORT: "0",
        CUTLINE_STORE_URL: `file:${join(folder, "sub", "coordinator.db")}`,
        CUTLINE_LEASE_MS: "300",
        CUTLINE_GRACE_MS: "1000",
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(child);
    assert.ok(child.stdout);
    for await (const line of createInterface(child.stdout)) {
      const { message, httpAddress, grpcAddress } = JSON.parse(line);
      if (message !== "coordinator serves") continue;
      child.stdout.resume();
      return { child, httpAddress, grpcAddress };
    }
    throw new Error("the coordinator ended before it served");
  }

  async function until<T>(what: string, find: () => Promise<T | undefined>): Promise<T> {
    for (let turn = 0; turn < 1_000; turn += 1) {
      const found = await find();
      if (found !== undefined) return found;
      await sleep(10);
    }
    throw new Error(`waited in vain for: ${what}`);
  }

  async function get({ httpAddress }: Program, id: string): Promise<Snapshot> {
    const response = await fetch(`${httpAddress}/v1/snapshots/${id}`);
    assert.equal(response.status, 200);
    return Snapshot.fromJSON(await response.json());
  }

  async function begin({ httpAddress }: Program, attempts: number): Promise<string> {
    const response = await fetch(`${httpAddress}/v1/snapshots`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ attempts }),
    });
    assert.equal(response.status, 202, await response.clone().text());
    return Snapshot.fromJSON(await response.json()).id;
  }

  async function ready({ httpAddress }: Program): Promise<void> {
    await until("readiness", async () => ((await fetch(`${httpAddress}/readyz`)).ok ? true : undefined));
  }

  async function attach({ grpcAddress }: Program): Promise<[FakeAgent, FakeAgent]> {
    const pair: [FakeAgent, FakeAgent] = [
      new FakeAgent(grpcAddress, "bank/a", "1"),
      new FakeAgent(grpcAddress, "bank/b", "1"),
    ];
    agents.push(...pair);
    for (const agent of pair) await agent.attach();
    return pair;
  }

  it("keeps what was Completed, ends what ran, and goes on", async () => {
    const first = await start();
    await ready(first);
    const [a, b] = await attach(first);
    const done = await begin(first, 1);
    const doneRef = await a.started();
    await takePart(a, b, doneRef);
    await a.endOf(done);
    const published = await get(first, done);
    assert.equal(published.phase, "Completed");
    const ran = await begin(first, 1);
    a.cut(await a.started([doneRef]));
    const goesOn = await begin(first, 3);
    const exit = once(first.child, "exit");
    first.child.kill("SIGKILL");
    await exit;

    const second = await start();
    await ready(second);
    const failed = await until("end of the one with one attempt", async () => {
      const snapshot = await get(second, ran);
      return snapshot.endedAt === "" ? undefined : snapshot;
    });
    assert.deepEqual([failed.phase, failed.reason], ["Failed", "CoordinatorRestarted"]);
    const [c, d] = await attach(second);
    const ref = await c.started();
    assert.deepEqual(ref, { snapshotId: goesOn, attempt: 2 });
    await takePart(c, d, ref);
    await c.endOf(goesOn);
    assert.equal((await get(second, goesOn)).phase, "Completed");
    const kept = await get(second, done);
    assert.deepEqual(kept, published);
    assert.equal(checkCertificate(kept.channels).verdict, "valid");
    const state = await fetch(`${second.httpAddress}/v1/snapshots/${done}/processes/bank%2Fa/state`);
    assert.equal(await state.text(), "state of a");

    const stopped = once(second.child, "exit");
    second.child.kill("SIGTERM");
    assert.deepEqual(await stopped, [0, null]);
  });
});
