import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CallRole } from "../src/dataplane/call/call-host.ts";
import { leave } from "../src/leave.ts";

const graceMs = 10_000;
const quietMs = 300;

/** What goes on in an agent that leaves, in a time of its own that passes only while `leave` waits. */
class Leaving {
  nowMs = 0;
  readonly told: string[] = [];
  readonly calls = new Map<number, { role: CallRole }>();
  readonly links = new Map([["link", { calls: this.calls }]]);
  arrived = 0;
  openInbound = 0;
  hasRunningCuts = false;
  readonly #plan: { readonly atMs: number; readonly happen: () => void }[] = [];

  at(atMs: number, happen: () => void): void {
    this.#plan.push({ atMs, happen });
  }

  /** A call of another process, over a link, that is answered at once. */
  callAt(atMs: number): void {
    this.at(atMs, () => {
      this.arrived += 1;
    });
  }

  /** When `what` was told. */
  toldAtMs(what: string): number {
    const line = this.told.find((one) => one.endsWith(` ${what}`));
    assert.ok(line !== undefined, `${what} was not told`);
    return Number.parseInt(line, 10);
  }

  async run(): Promise<number> {
    const entrance = (name: string) => ({
      door: { close: async () => undefined },
      http2Server: { close: async () => void this.#tell(`${name} closes`) },
    });
    const { links } = this;
    const that = this;
    await leave({
      plane: {
        driver: {
          links,
          get hasRunningCuts() {
            return that.hasRunningCuts;
          },
        },
        calls: {
          get arrived() {
            return that.arrived;
          },
        },
        environment: {
          get openInbound() {
            return that.openInbound;
          },
        },
      },
      desk: {
        idle: async () => {
          this.#tell("desk");
          return "idle";
        },
      },
      client: { send: ({ $case }: { $case: string }) => this.#tell($case) } as never,
      inbound: entrance("inbound"),
      outbound: entrance("outbound"),
      graceMs,
      now: () => this.nowMs,
      pause: async (ms) => {
        this.nowMs += ms;
        for (const { atMs, happen } of this.#plan) if (atMs > this.nowMs - ms && atMs <= this.nowMs) happen();
      },
    });
    return this.nowMs;
  }

  #tell(what: string): void {
    this.told.push(`${this.nowMs} ${what}`);
  }
}

describe("an agent that leaves", () => {
  it("waits until no call has come from other agents for 300 ms", async () => {
    const leaving = new Leaving();
    await leaving.run();
    assert.deepEqual(leaving.told, ["0 inbound closes", "0 desk", "0 leaving", `${quietMs} outbound closes`]);
  });

  it("waits anew after each call that still comes", async () => {
    const leaving = new Leaving();
    for (const atMs of [200, 480, 700]) leaving.callAt(atMs);
    await leaving.run();
    assert.equal(leaving.toldAtMs("outbound closes"), 700 + quietMs);
  });

  it("does not wait for calls that cannot come: without links", async () => {
    const leaving = new Leaving();
    leaving.links.clear();
    await leaving.run();
    assert.equal(leaving.toldAtMs("outbound closes"), 0);
  });

  it("waits for the calls that its application is answering, also for callers without an agent", async () => {
    const leaving = new Leaving();
    leaving.calls.set(1, { role: "callee" });
    leaving.openInbound = 1;
    leaving.at(1_000, () => leaving.calls.delete(1));
    leaving.at(2_000, () => {
      leaving.openInbound = 0;
    });
    await leaving.run();
    assert.equal(leaving.toldAtMs("outbound closes"), 2_000);
  });

  it("lets the application's own calls go on meanwhile, and finish afterwards", async () => {
    const leaving = new Leaving();
    leaving.calls.set(1, { role: "caller" });
    leaving.at(3_000, () => leaving.calls.delete(1));
    const leftAtMs = await leaving.run();
    assert.equal(leaving.toldAtMs("outbound closes"), quietMs);
    assert.equal(leftAtMs, 3_000);
  });

  it("gives half of the grace period to calls that do not end, and half a second of it to the goodbye", async () => {
    const leaving = new Leaving();
    leaving.calls.set(1, { role: "callee" });
    const leftAtMs = await leaving.run();
    assert.equal(leaving.toldAtMs("outbound closes"), (graceMs - 500) / 2);
    assert.equal(leftAtMs, graceMs - 500);
  });

  it("finishes running cuts before it says that it leaves", async () => {
    const leaving = new Leaving();
    leaving.hasRunningCuts = true;
    leaving.at(500, () => {
      leaving.hasRunningCuts = false;
    });
    await leaving.run();
    assert.deepEqual(leaving.told.slice(0, 3), ["0 inbound closes", "500 desk", "500 leaving"]);
    assert.equal(leaving.toldAtMs("outbound closes"), 500 + quietMs);
  });
});
