import { randomUUID } from "node:crypto";
import { createMetrics, type Metrics } from "@cutline/runtime";
import { nowMs } from "../../../src/driver/clock.ts";
import type { KubeClient } from "../../../src/kubernetes/api/client.ts";
import { Controller } from "../../../src/kubernetes/controller.ts";
import { type ControllerLimits, defaultControllerLimits } from "../../../src/kubernetes/limits.ts";
import type { Store } from "../../../src/store/port.ts";
import type { FakeAgent } from "../../support/fake-agent.ts";
import { recorder } from "../../support/recorder.ts";
import { takePart, World } from "../../support/world.ts";
import { clientOf, type TestNamespace } from "./cluster.ts";

export interface ReplicaOptions {
  readonly namespace: TestNamespace;
  /** Only that namespace by default. */
  readonly namespaces?: readonly string[];
  readonly store?: Store;
  readonly client?: KubeClient;
  readonly limits?: Partial<ControllerLimits>;
  readonly nowMs?: () => number;
  readonly leaseMs?: number;
  readonly keepMax?: number;
}

/** One coordinator without HTTP: driver, agents' server, store and controller. */
export class Replica {
  readonly world: World;
  readonly controller: Controller;
  readonly metrics: Metrics;

  static async open(options: ReplicaOptions): Promise<Replica> {
    const { store, leaseMs = 2_000, keepMax = 100 } = options;
    const world = await World.open({
      limits: { leaseMs, keepMax },
      graceMs: 300,
      ...(store !== undefined && { store }),
    });
    const replica = new Replica(world, options, options.client ?? (await clientOf()));
    replica.controller.start();
    return replica;
  }

  private constructor(world: World, options: ReplicaOptions, client: KubeClient) {
    const { namespace } = options;
    this.world = world;
    this.metrics = createMetrics();
    this.controller = new Controller({
      client,
      snapshots: world.driver,
      term: () => world.driver.term(),
      holder: randomUUID(),
      instance: "test",
      namespaces: options.namespaces ?? [namespace.name],
      leaseNamespace: namespace.name,
      leaseName: "cutline-coordinator",
      limits: {
        ...defaultControllerLimits,
        leaseMs: 3_000,
        progressMs: 50,
        refusedMs: 100,
        dataCheckMs: 200,
        backOffMsMin: 50,
        backOffMsMax: 500,
        termMs: 50,
        ...options.limits,
      },
      nowMs: options.nowMs ?? nowMs,
      random: Math.random,
      logger: recorder(world.lines),
      metrics: this.metrics,
    });
  }

  async stop(): Promise<void> {
    await this.controller.stop();
    await this.world.stop();
  }

  /** Two processes that take part in every snapshot that is started. */
  async mesh(...names: [string, string]): Promise<[FakeAgent, FakeAgent]> {
    const [a, b] = names.map((name) => this.world.agent(name));
    if (a === undefined || b === undefined) throw new Error("unreachable");
    await a.attach();
    await b.attach();
    await a.directoryOf(...names);
    return [a, b];
  }
}

/** Takes part in the next snapshot, other than those in `known`, and says which that was. */
export async function takePartInNext([a, b]: [FakeAgent, FakeAgent], known: { snapshotId: string; attempt: number }[]) {
  const [ref] = await Promise.all([a.started(known), b.started(known)]);
  known.push(ref);
  await takePart(a, b, ref);
  return ref;
}
