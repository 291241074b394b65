import { type CutTrigger, type SnapshotRef, snapshotKey } from "@cutline/protocol";
import { probeId } from "../plan/plan.ts";
import { callsContent, outboxContent, stateContent } from "../records.ts";
import type { SimProcess } from "./process.ts";

/** What a capture found. */
export interface CapturedState {
  readonly exact: boolean;
  readonly local: string;
  readonly calls: string;
  readonly callsInProcess: number;
  /** By channel; those that are empty are left out. */
  readonly outboxes: ReadonlyMap<
    string,
    { readonly content: string; readonly count: number; readonly messages: number }
  >;
}

/** Makes the captures that the protocol asks for, one after the other, each at one instant some time after its request. */
export class Capturer {
  readonly #process: SimProcess;
  readonly #requests = new Map<string, SnapshotRef>();
  readonly #states = new Map<string, CapturedState>();
  #working = false;

  constructor(process: SimProcess) {
    this.#process = process;
  }

  request(ref: SnapshotRef, _trigger: CutTrigger): void {
    this.#requests.set(snapshotKey(ref), ref);
    this.#workSoon();
  }

  forget(ref: SnapshotRef): void {
    this.#requests.delete(snapshotKey(ref));
  }

  takeState(ref: SnapshotRef): CapturedState {
    const state = this.#states.get(snapshotKey(ref));
    if (state === undefined) throw new RangeError(`no capture was made for ${snapshotKey(ref)}`);
    this.#states.delete(snapshotKey(ref));
    return state;
  }

  #workSoon(): void {
    const { world, random, application } = this.#process;
    const ref = this.#requests.values().next().value;
    if (this.#working || ref === undefined) return;
    this.#working = true;
    const closes = random.happens(0.5);
    const delayMs = random.happens(0.2) ? random.between(0, 200) : random.below(15);
    // Not from inside a step.
    world.engine.after(0, () => {
      if (closes) application.close();
      world.engine.after(delayMs, () => {
        if (!this.#process.alive) return;
        this.#finish(ref);
        this.#working = false;
        if (closes) application.reopen();
        this.#workSoon();
      });
    });
  }

  #finish(ref: SnapshotRef): void {
    const process = this.#process;
    const key = snapshotKey(ref);
    if (!this.#requests.delete(key) || !process.isRunning(ref)) return;
    const { captureFails, inexact } = process.world.faults;
    const hiccup = process.world.plan.settings.hiccupAt === process.self.process && isFirst(ref);
    if (hiccup || process.random.happens(captureFails)) {
      process.world.fault("captureFailed", `${process.self.inc} cannot capture for ${key}`);
      process.captureFailed(ref, "CaptureFailed");
      return;
    }
    const { application } = process;
    const outboxes = new Map<string, { content: string; count: number; messages: number }>();
    for (const link of process.links.values()) {
      const waiting = [...link.calls.values()].flatMap((call) => call.outbound);
      if (waiting.length === 0) continue;
      const pieces = waiting.map(({ unit, piece }) => ({ unit: unit.id, piece }));
      outboxes.set(link.outgoing.id, {
        content: outboxContent(pieces),
        count: pieces.length,
        messages: new Set(pieces.map(({ unit }) => unit)).size,
      });
    }
    this.#states.set(key, {
      exact: !process.random.happens(inexact),
      local: stateContent(application.tokens),
      calls: callsContent(application.handlers),
      callsInProcess: application.handlers.size,
      outboxes,
    });
    process.captured(ref);
  }
}

function isFirst({ snapshotId, attempt }: SnapshotRef): boolean {
  return attempt === 1 && snapshotId !== probeId;
}
