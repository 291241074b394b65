import { setTimeout as sleep } from "node:timers/promises";
import type { Snapshot } from "@cutline/proto/snapshot";
import { RestProblem, type StartBody } from "../system/rest.ts";
import type { System } from "../system/system.ts";
import { until } from "../system/until.ts";
import type { Evidence } from "./evidence.ts";
import { judge } from "./judge.ts";
import { createRandom } from "./numbers.ts";
import type { SoakOptions } from "./options.ts";
import { Pace } from "./pace.ts";
import type { Half, Tally } from "./tally.ts";

/** One snapshot in so many begins at one process, and its markers bring it to the others. */
const initiatorOneIn = 4;
/** In front of a snapshot, so that they do not fall into step with the traffic. */
const restMsMax = 30;
/** After one that did not start or end: what is wrong may last, and a full speed of failures helps nobody. */
const failureRestMs = 300;
/** Of a snapshot. Long: a machine with more to do than it can is slow, and that is no finding. */
const timeoutMs = 120_000;
/** After a refusal because too many run; one that has just ended may still count. */
const refusedRestMs = 250;
/** On top of the time limit: until a snapshot must say that it failed. */
const endedSlackMs = 15_000;
/** Between two looks whether one has ended, or may be started. */
const lookEveryMs = 20;
/** Judged at a time. The coordinator lets eight states be read. */
const lanes = 5;
/** Ended and not judged yet: beyond it no more are started than must run. */
const judgingEnough = 5;
/** Beyond it none is started. */
const judgingMax = 60;

/** Takes, judges and removes snapshots until it has enough, or is told to stop. */
export class Taking {
  readonly #system: System;
  readonly #options: SoakOptions;
  readonly #tally: Tally;
  readonly #evidence: Evidence;
  readonly #signal: AbortSignal;
  readonly #random: () => number;
  readonly #pace: Pace;
  /** What each judges last. */
  readonly #lanes: Promise<void>[] = [];
  #judging = 0;
  #started = 0;

  constructor(system: System, options: SoakOptions, tally: Tally, evidence: Evidence, signal: AbortSignal) {
    this.#system = system;
    this.#options = options;
    this.#tally = tally;
    this.#evidence = evidence;
    this.#signal = signal;
    this.#random = createRandom(options.seed);
    this.#pace = new Pace(options.overlap);
  }

  /** The first half one after another, the second overlapping. */
  async run(): Promise<void> {
    const { snapshots } = this.#options;
    const pace = this.#pace;
    await this.#take("first", Math.floor(snapshots / 2), () => pace.running === 0);
    await this.#take("second", snapshots, (nowMs) =>
      pace.mayStart(nowMs, this.#judging > judgingEnough ? "needed" : "possible"),
    );
  }

  /** Each is judged while others run. */
  async #take(half: Half, upTo: number, mayStart: (nowMs: number) => boolean): Promise<void> {
    const unfinished = new Set<Promise<void>>();
    while (this.#started < upTo && !this.#signal.aborted) {
      if (this.#judging >= judgingMax || !mayStart(performance.now())) {
        await sleep(lookEveryMs);
        continue;
      }
      if (half === "first") await sleep(this.#random() * restMsMax);
      this.#started += 1;
      this.#pace.started(performance.now());
      const one = this.#takeOne(half, this.#started).finally(() => unfinished.delete(one));
      unfinished.add(one);
    }
    await Promise.all(unfinished);
  }

  async #takeOne(half: Half, order: number): Promise<void> {
    const beganMs = performance.now();
    const snapshot = await this.#untilEnded(half);
    if (snapshot === undefined) await sleep(failureRestMs);
    this.#pace.ended(performance.now() - beganMs);
    if (snapshot === undefined) return;
    this.#judging += 1;
    const lane = order % lanes;
    const before = this.#lanes[lane];
    const judged = (async () => {
      await before;
      await this.#judge(snapshot, half, order);
      this.#judging -= 1;
    })();
    this.#lanes[lane] = judged;
    await judged;
  }

  async #untilEnded(half: Half): Promise<Snapshot | undefined> {
    const { rest, branches } = this.#system;
    const chosen = branches[Math.floor(this.#random() * branches.length * initiatorOneIn)];
    const initiator = chosen === undefined ? {} : { initiator: chosen.processId };
    let id = "a snapshot";
    try {
      const body = { attempts: 1, timeoutMs, labels: { soak: half }, ...initiator };
      id = await until("a place among the running", () => this.#create(body), {
        timeoutMs,
        everyMs: refusedRestMs,
      });
      await sleep(this.#pace.lookAfterMs);
      const look = async () => {
        const snapshot = await rest.get(id);
        return snapshot.endedAt === "" ? undefined : snapshot;
      };
      const timing = { timeoutMs: timeoutMs + endedSlackMs, everyMs: lookEveryMs };
      return await until(`the end of snapshot ${id}`, look, timing);
    } catch (error) {
      this.#tally.broken(id, error as Error);
      return undefined;
    }
  }

  /** Its id; undefined when too many run. */
  async #create(body: StartBody): Promise<string | undefined> {
    try {
      return (await this.#system.rest.create(body)).id;
    } catch (error) {
      if (error instanceof RestProblem && error.code === "TooManySnapshots") return undefined;
      throw error;
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
