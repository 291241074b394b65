import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Snapshot } from "@cutline/proto/snapshot";
import { defaultSnapshotPolicy } from "@cutline/protocol";
import type { TlsCredentials } from "@cutline/runtime";
import { AgentServer, type AgentsLimits, defaultAgentsLimits } from "../../src/agents/server.ts";
import { nowMs } from "../../src/driver/clock.ts";
import { Driver } from "../../src/driver/driver.ts";
import { type DriverLimits, defaultDriverLimits } from "../../src/driver/limits.ts";
import type { Discovery } from "../../src/kubernetes/discovery/discovery.ts";
import type { StartOutcome } from "../../src/snapshots.ts";
import { openEmbeddedStore } from "../../src/store/embedded.ts";
import type { Store } from "../../src/store/port.ts";
import { FakeAgent } from "./fake-agent.ts";
import { type LogLine, recorder } from "./recorder.ts";

export interface WorldOptions {
  readonly store?: Store;
  readonly limits?: Partial<DriverLimits>;
  readonly agents?: Partial<AgentsLimits>;
  readonly graceMs?: number;
  readonly credentials?: TlsCredentials;
  /** Started and stopped with the world. */
  readonly discovery?: Discovery;
}

/** Driver, agents' server and store of one coordinator, without HTTP. */
export class World {
  readonly store: Store;
  readonly driver: Driver;
  readonly server: AgentServer;
  readonly lines: LogLine[] = [];
  readonly #agents: FakeAgent[] = [];
  readonly #ownStore: boolean;
  readonly #discovery: Discovery | undefined;

  static async open(options: WorldOptions = {}): Promise<World> {
    const store = options.store ?? (await openEmbeddedStore({ path: ":memory:", operationTimeoutMs: 2_000 }));
    const world = new World(store, options);
    await world.driver.begin();
    await world.server.start();
    options.discovery?.start();
    return world;
  }

  private constructor(store: Store, options: WorldOptions) {
    this.store = store;
    this.#ownStore = options.store === undefined;
    const graceMs = options.graceMs ?? 300;
    const logger = recorder(this.lines);
    this.driver = new Driver({
      store,
      holder: randomUUID(),
      limits: {
        ...defaultDriverLimits,
        tickMs: 10,
        progressMs: 20,
        housekeepingMs: 100,
        settleMs: 0,
        ...options.limits,
      },
      policy: { ...defaultSnapshotPolicy, graceMs, stallMsMin: 500 },
      nowMs,
      logger,
    });
    const limits = { ...defaultAgentsLimits, heartbeatMs: 100, graceMs, ...options.agents };
    const { credentials, discovery } = options;
    this.#discovery = discovery;
    const address = { host: "127.0.0.1", port: 0 };
    this.server = new AgentServer({ ...address, credentials, nowMs, logger, limits, naming: discovery }, this.driver);
    this.driver.connect(this.server);
    discovery?.connect({
      processes: () => this.server.directory.list().map(({ hello }) => hello),
      namesChanged: () => this.server.namesChanged(),
    });
  }

  agent(processId: string, incarnation?: string): FakeAgent {
    const agent = new FakeAgent(this.server.address, processId, incarnation);
    this.#agents.push(agent);
    return agent;
  }

  /** Stops serving and driving; the store stays open when it was given. */
  async stop(): Promise<void> {
    for (const agent of this.#agents) agent.close();
    await this.#discovery?.stop();
    await this.server.stop();
    await this.driver.end();
    if (this.#ownStore) await this.store.close();
  }

  async ended(id: string): Promise<Snapshot> {
    return await this.until(`end of ${id}`, async () => {
      const snapshot = await this.store.get(id);
      return snapshot?.endedAt === "" ? undefined : snapshot;
    });
  }

  async until<T>(what: string, find: () => T | undefined | Promise<T | undefined>): Promise<T> {
    const endMs = nowMs() + 60_000;
    for (;;) {
      const found = await find();
      if (found !== undefined) return found;
      if (nowMs() > endMs) throw new Error(`waited 60000 ms for: ${what}\n${this.log()}`);
      await sleep(5);
    }
  }

  log(): string {
    return this.lines.map(({ level, message, fields }) => `${level} ${message} ${JSON.stringify(fields)}`).join("\n");
  }
}

export function idOf(outcome: StartOutcome): string {
  if (outcome.outcome === "refused") throw new Error(`refused: ${outcome.code}: ${outcome.message}`);
  return outcome.snapshot.id;
}

/** a sends five frames to b, four of which b's application had received at its cut; everything is reported and stored. */
export async function takePart(
  a: FakeAgent,
  b: FakeAgent,
  ref: { snapshotId: string; attempt: number },
): Promise<void> {
  const channelId = "link1:0";
  const sent = { channelId, to: b.processId, sentAtCut: 5, markersSent: 0, markersSentSum: 0 };
  a.cut(ref, { outgoing: [{ ...sent, outboxCount: 0, outboxMessages: 0 }] });
  b.cut(ref, { incoming: [channelId] });
  b.channel(ref, {
    channelId,
    from: a.processId,
    markerNumber: 6,
    deliveredAtCut: 4,
    deliveredSum: 10,
    deliveredMax: 4,
    recorded: [{ first: 5, last: 5 }],
    recordedCount: 1,
    messages: 1,
  });
  await a.local(ref, "state of a");
  await b.local(ref, "state of b");
  await b.upload(ref, "channel", Buffer.from("frame 5"), { channelId });
}
