import type { Logger, Metrics } from "@cutline/runtime";
import type { Snapshots } from "../snapshots.ts";
import type { KubeClient } from "./api/client.ts";
import { Objects } from "./api/resources.ts";
import { Collection } from "./collection.ts";
import { Events } from "./events.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import type { ControllerLimits } from "./limits.ts";
import { type QueueAnswer, WorkQueue } from "./queue.ts";
import { scheduleKind, schedulesPlural, snapshotKind, snapshotsPlural } from "./resources/names.ts";
import type { GlobalSnapshot, GlobalSnapshotSchedule } from "./resources/objects.ts";
import { ownerKeyOf } from "./schedules/plan.ts";
import { ScheduleReconciler } from "./schedules/reconciler.ts";
import { SnapshotReconciler } from "./snapshots/reconciler.ts";

export interface ControllerOptions {
  readonly client: KubeClient;
  readonly snapshots: Snapshots;
  /** The term in which this replica leads in the store. `undefined`: it does not. */
  readonly term: () => number | undefined;
  /** Unique among all programs that run, a restarted one included. */
  readonly holder: string;
  /** The pod's name, or the machine's; for Events. */
  readonly instance: string;
  /** Empty: all. */
  readonly namespaces: readonly string[];
  readonly leaseNamespace: string;
  readonly leaseName: string;
  readonly limits: ControllerLimits;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const snapshotResource = { kind: snapshotKind, plural: snapshotsPlural };
const scheduleResource = { kind: scheduleKind, plural: schedulesPlural };

/** Makes the cluster's GlobalSnapshots and GlobalSnapshotSchedules true, on the one replica that leads. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #lease: LeaseKeeper;
  readonly #snapshots: Collection<GlobalSnapshot>;
  readonly #schedules: Collection<GlobalSnapshotSchedule>;
  readonly #queue: WorkQueue;
  /** One after another: what was begun in one term ends before the next begins. */
  #change: Promise<void> = Promise.resolve();

  constructor(options: ControllerOptions) {
    const { client, limits, nowMs, random, logger, metrics } = options;
    this.#options = options;
    this.#lease = new LeaseKeeper({
      client,
      namespace: options.leaseNamespace,
      name: options.leaseName,
      holder: options.holder,
      leaseMs: limits.leaseMs,
      termMs: limits.termMs,
      term: options.term,
      nowMs,
      logger,
      onGained: () => this.#then(() => this.#work()),
      onLost: () => this.#then(() => this.#rest()),
    });
    this.#snapshots = new Collection(options, snapshotResource, (key, object, before) => {
      this.#queue.add(`${snapshotKind}/${key}`);
      const changed = object ?? before;
      const owner = changed === undefined ? undefined : ownerKeyOf(changed);
      if (owner !== undefined) this.#queue.add(`${scheduleKind}/${owner}`);
    });
    this.#schedules = new Collection(options, scheduleResource, (key) => this.#queue.add(`${scheduleKind}/${key}`));
    const failures = metrics.counter("cutline_kubernetes_passes_failed_total", {
      help: "Passes over an object that ended with an error and are tried again",
    });
    const passes = this.#passes();
    this.#queue = new WorkQueue({
      work: passes,
      onFailure: (key, error, retryMs) => {
        failures.add({});
        logger.warn({ object: key, error, retryMs }, "pass over an object failed; it is tried again");
      },
      workers: limits.workers,
      backOffMsMin: limits.backOffMsMin,
      backOffMsMax: limits.backOffMsMax,
      random,
    });
    this.#show();
  }

  start(): void {
    this.#snapshots.start();
    this.#schedules.start();
    this.#lease.start();
  }

  /** Releases the Lease, so that another replica can go on at once. */
  async stop(): Promise<void> {
    await this.#queue.stop();
    await this.#lease.stop();
    await Promise.all([this.#snapshots.stop(), this.#schedules.stop()]);
    await this.#change;
    await this.#queue.stop();
    this.#options.client.close();
  }

  #then(change: () => Promise<void>): void {
    this.#change = this.#change.then(change);
  }

  async #work(): Promise<void> {
    await Promise.all([this.#snapshots.listed, this.#schedules.listed]);
    if (this.#lease.writingTerm() === undefined) return;
    this.#queue.start();
    for (const key of this.#snapshots.keys()) this.#queue.add(`${snapshotKind}/${key}`);
    for (const key of this.#schedules.keys()) this.#queue.add(`${scheduleKind}/${key}`);
  }

  async #rest(): Promise<void> {
    await this.#queue.stop();
  }

  #passes(): (key: string) => Promise<QueueAnswer> {
    const { client, snapshots, instance, limits, nowMs, logger } = this.#options;
    const events = new Events({ client, instance, nowMs, logger });
    const snapshotObjects = new Objects<GlobalSnapshot>(client, snapshotResource);
    const writingTerm = () => this.#lease.writingTerm();
    const snapshotPasses = new SnapshotReconciler({
      snapshots,
      objects: snapshotObjects,
      cache: this.#snapshots,
      events,
      limits,
      writingTerm,
      nowMs,
    });
    const schedulePasses = new ScheduleReconciler({
      schedules: new Objects<GlobalSnapshotSchedule>(client, scheduleResource),
      snapshots: snapshotObjects,
      cache: {
        get: (key) => this.#schedules.get(key),
        learn: (object) => this.#schedules.learn(object),
        snapshots: () => this.#snapshots.all(),
      },
      events,
      writingTerm,
      nowMs,
    });
    return async (key) => {
      const at = key.indexOf("/");
      const objectKey = key.slice(at + 1);
      return key.slice(0, at) === snapshotKind
        ? await snapshotPasses.reconcile(objectKey)
        : await schedulePasses.reconcile(objectKey);
    };
  }

  #show(): void {
    const { metrics } = this.#options;
    const gauge = (name: string, help: string, value: () => number) => {
      metrics.gauge(name, { help, read: () => [{ labels: {}, value: value() }] });
    };
    gauge("cutline_kubernetes_working", "1 while this replica works on the cluster's objects", () =>
      this.#lease.writingTerm() === undefined ? 0 : 1,
    );
    gauge(
      "cutline_kubernetes_queue_length",
      "Objects that wait for a pass, or for their next one",
      () => this.#queue.depth,
    );
    gauge(
      "cutline_kubernetes_watch_age_seconds",
      "Since the API server was last heard, of the stalest watch",
      () => Math.max(this.#snapshots.ageMs, this.#schedules.ageMs) / 1_000,
    );
  }
}
