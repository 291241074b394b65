import { setTimeout as sleep } from "node:timers/promises";
import type { Snapshot } from "@cutline/proto/snapshot";
import type { System } from "../system/system.ts";
import { until } from "../system/until.ts";
import type { Evidence } from "./evidence.ts";
import { judge } from "./judge.ts";
import { createRandom, quantilesOf } from "./numbers.ts";
import type { SoakOptions } from "./options.ts";
import type { Half, Tally } from "./tally.ts";

/** One snapshot in so many begins at one process, and its markers bring it to the others. */
const initiatorOneIn = 4;
/** In front of a snapshot, so that they do not fall into step with the traffic. */
const restMsMax = 30;
/** After one that did not start or end: what is wrong may last, and a full speed of failures helps nobody. */
const failureRestMs = 300;
const timeoutMs = 30_000;
/** On top of the time limit: until a snapshot must say that it failed. */
const endedSlackMs = 15_000;
/** Seldom enough that looking takes no part worth naming of the machine's time. */
const lookEveryMs = 60;
export const runnersSpare = 2;

/** Takes, judges and removes snapshots until it has enough, or is told to stop. */
export class Taking {
  readonly #system: System;
  readonly #options: SoakOptions;
  readonly #tally: Tally;
  readonly #evidence: Evidence;
  readonly #signal: AbortSignal;
  readonly #random: () => number;
  #started = 0;

  constructor(system: System, options: SoakOptions, tally: Tally, evidence: Evidence, signal: AbortSignal) {
    this.#system = system;
    this.#options = options;
    this.#tally = tally;
    this.#evidence = evidence;
    this.#signal = signal;
    this.#random = createRandom(options.seed);
  }

  /** The first half one after another, the second overlapping. */
  async run(): Promise<void> {
    const { snapshots, overlap } = this.#options;
    await this.#take("first", Math.floor(snapshots / 2));
    // More than must run at any time, and begun at different times: when one has ended, its runner takes a moment to
    // hear of it, and all would end together if they had begun together.
    const runners = overlap + runnersSpare;
    const apartMs = (2 * quantilesOf(this.#tally.durationsMs.first).p50) / runners;
    await Promise.all(
      Array.from({ length: runners }, async (_, runner) => {
        await sleep(runner * apartMs);
        await this.#take("second", snapshots);
      }),
    );
  }

  /** One after another. Each is judged while the next one runs. */
  async #take(half: Half, upTo: number): Promise<void> {
    let judging = Promise.resolve();
    while (this.#started < upTo && !this.#signal.aborted) {
      this.#started += 1;
      const order = this.#started;
      if (half === "first") await sleep(this.#random() * restMsMax);
      const id = await this.#start(half);
      await judging;
      const snapshot = id === undefined ? undefined : await this.#ended(id);
      if (snapshot === undefined) await sleep(failureRestMs);
      else judging = this.#judge(snapshot, half, order);
    }
    await judging;
  }

  async #start(half: Half): Promise<string | undefined> {
    const { rest, branches } = this.#system;
    const chosen = branches[Math.floor(this.#random() * branches.length * initiatorOneIn)];
    const initiator = chosen === undefined ? {} : { initiator: chosen.processId };
    try {
      return (await rest.create({ attempts: 1, timeoutMs, labels: { soak: half }, ...initiator })).id;
    } catch (error) {
      this.#tally.broken("a snapshot that did not start", error as Error);
      return undefined;
    }
  }

  async #ended(id: string): Promise<Snapshot | undefined> {
    const look = async () => {
      const snapshot = await this.#system.rest.get(id);
      return snapshot.endedAt === "" ? undefined : snapshot;
    };
    try {
      return await until(`the end of snapshot ${id}`, look, {
        timeoutMs: timeoutMs + endedSlackMs,
        everyMs: lookEveryMs,
      });
    } catch (error) {
      this.#tally.broken(id, error as Error);
      return undefined;
    }
  }

  async #judge(snapshot: Snapshot, half: Half, order: number): Promise<void> {
    const { rest, totalCents, branches } = this.#system;
    const { id } = snapshot;
    try {
      const state = snapshot.phase === "Completed" ? await rest.state(id) : undefined;
      const verification = order % this.#options.verifyEvery === 0 ? "verify" : "skip";
      const processIds = branches.map(({ processId }) => processId);
      const verdict = await judge(snapshot, state, { totalCents, processIds, verification });
      if (verification === "verify" && state !== undefined) this.#tally.counts.verified += 1;
      this.#tally.add(snapshot, verdict, half);
      if (verdict.outcome === "violated") await this.#evidence.keep(snapshot, state, verdict.problems);
      else if (verdict.outcome === "failed") await this.#evidence.keep(snapshot, state, [snapshot.message]);
      else if (snapshot.processes.some(({ captureSource, exact }) => captureSource === "participant" && !exact)) {
        await this.#evidence.keep(snapshot, state, ["a branch with the SDK is flagged"]);
      }
      await rest.remove(id);
    } catch (error) {
      this.#tally.broken(id, error as Error);
    }
  }
}
