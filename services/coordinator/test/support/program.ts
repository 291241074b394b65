import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Snapshot } from "@cutline/proto/snapshot";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** The coordinator as a program of its own, for tests that stop, freeze and kill it. */
export class Program {
  readonly child: ChildProcess;
  readonly httpAddress: string;
  readonly grpcAddress: string;

  /** Resolves when it says that it serves. `env` adds settings. */
  static async start(storeUrl: string, env: Readonly<Record<string, string>> = {}): Promise<Program> {
    const child = spawn(process.execPath, [main], {
      env: {
        ...process.env,
        CUTLINE_HTTP_PORT: "0",
        CUTLINE_AGENTS_PORT: "0",
        CUTLINE_STORE_URL: storeUrl,
        CUTLINE_LEASE_MS: "5000",
        CUTLINE_GRACE_MS: "1500",
        CUTLINE_SETTLE_MS: "200",
        ...env,
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    assert.ok(child.stdout);
    const lines = createInterface(child.stdout);
    for await (const line of lines) {
      const { message, httpAddress, grpcAddress } = JSON.parse(line);
      if (message !== "coordinator serves") continue;
      child.stdout.resume();
      return new Program(child, httpAddress, grpcAddress);
    }
    throw new Error("the coordinator ended before it served");
  }

  private constructor(child: ChildProcess, httpAddress: string, grpcAddress: string) {
    this.child = child;
    this.httpAddress = httpAddress;
    this.grpcAddress = grpcAddress;
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<[number | null, NodeJS.Signals | null]> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return [this.child.exitCode, null];
    const exited = once(this.child, "exit");
    this.child.kill(signal);
    return (await exited) as [number | null, NodeJS.Signals | null];
  }

  async get(id: string): Promise<Snapshot> {
    const response = await fetch(`${this.httpAddress}/v1/snapshots/${id}`);
    assert.equal(response.status, 200);
    return Snapshot.fromJSON(await response.json());
  }

  async begin(body: { attempts?: number; timeoutMs?: number }): Promise<string> {
    const response = await fetch(`${this.httpAddress}/v1/snapshots`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 202, await response.clone().text());
    return Snapshot.fromJSON(await response.json()).id;
  }

  async isReady(): Promise<boolean> {
    return (await fetch(`${this.httpAddress}/readyz`)).ok;
  }

  async ready(): Promise<void> {
    await until("readiness", async () => ((await this.isReady()) ? true : undefined));
  }

  async ended(id: string): Promise<Snapshot> {
    return await until(`end of ${id}`, async () => {
      const snapshot = await this.get(id);
      return snapshot.endedAt === "" ? undefined : snapshot;
    });
  }
}

export async function until<T>(what: string, find: () => Promise<T | undefined>): Promise<T> {
  const endMs = performance.now() + 60_000;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (performance.now() > endMs) throw new Error(`waited 60000 ms for: ${what}`);
    await sleep(10);
  }
}
