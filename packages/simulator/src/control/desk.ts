import {
  type ChannelFacts,
  type CutFacts,
  createDeskState,
  type DeskEffect,
  type DeskInput,
  type DeskState,
  isDeskIdle,
  nextExpiryMs,
  type OwedPart as OwedPartOf,
  openAttempts,
  type PartEnded,
  type SnapshotRef,
  stepDesk,
} from "@cutline/protocol";
import type { CapturedState } from "../data/capturer.ts";
import type { Reports, SimProcess } from "../data/process.ts";
import type { Timer } from "../engine/engine.ts";
import type { PartOffer, Report } from "./messages.ts";

export type OwedPart = OwedPartOf<PartOffer>;

export interface DeskClient {
  attachment(): "attached" | "detached";
  send(report: Report): "sent" | "detached";
  /** Goes on until the part is stored or not wanted (`partEnded`), or over. */
  upload(part: OwedPart): void;
}

const snapshotsMax = 64;

/** What a process owes the coordinator: steps the protocol's desk and performs its effects. */
export class Desk implements Reports {
  readonly #process: SimProcess;
  readonly #client: DeskClient;
  readonly #state: DeskState<Report, PartOffer>;
  #expiry: Timer | undefined;

  constructor(process: SimProcess, client: DeskClient, forgetAfterMs: number) {
    this.#process = process;
    this.#client = client;
    this.#state = createDeskState({ snapshotsMax, forgetAfterMs });
  }

  noticed(ref: SnapshotRef): void {
    this.#step({ type: "noticed", ref, nowMs: this.#nowMs });
  }

  begun(ref: SnapshotRef, store: boolean, remainingMs: number): void {
    this.#step({ type: "begun", ref, store, remainingMs, nowMs: this.#nowMs });
  }

  cut(facts: CutFacts, state: CapturedState): void {
    const { ref } = facts;
    const { process } = this.#process.self;
    const parts = [this.#offer(ref, "local", process, state.local)];
    if (state.callsInProcess > 0) parts.push(this.#offer(ref, "calls", process, state.calls));
    for (const [channel, { content }] of state.outboxes) parts.push(this.#offer(ref, "outbox", channel, content));
    const doubt = { code: "Doubt", message: "the capture was in doubt", processId: process };
    const report: Report = {
      type: "cut",
      ref,
      report: {
        exact: state.exact,
        reasons: state.exact ? [] : [doubt],
        pauseUs: 0,
        lockWaitUs: 0,
        outgoing: facts.outgoing.map(({ channel, to, sentAtCut, markersSent, markersSentSum }) => {
          const outbox = state.outboxes.get(channel);
          const outboxCount = outbox?.count ?? 0;
          const outboxMessages = outbox?.messages ?? 0;
          return { channelId: channel, to, sentAtCut, markersSent, markersSentSum, outboxCount, outboxMessages };
        }),
        incoming: facts.incoming,
        environment: [],
        callsInProcess: state.callsInProcess,
      },
    };
    this.#step({ type: "cut", ref, report, parts, nowMs: this.#nowMs });
  }

  channel(facts: ChannelFacts, content: string, count: number, messages: number): void {
    const { ref, channel, ...counts } = facts;
    this.#step({
      type: "channelClosed",
      ref,
      channel,
      recordedCount: facts.recordedCount,
      keptCount: count,
      report: { type: "channel", ref, report: { channelId: channel, ...counts, messages } },
      part: this.#offer(ref, "channel", channel, content),
      nowMs: this.#nowMs,
    });
  }

  failed(ref: SnapshotRef, code: string): void {
    this.#step({ type: "failed", ref, report: { type: "captureFailed", ref, code }, nowMs: this.#nowMs });
  }

  forget(ref: SnapshotRef): void {
    this.#step({ type: "forget", ref });
  }

  ended(ref: SnapshotRef): void {
    this.#step({ type: "ended", ref });
  }

  /** After a welcome: everything is said again. */
  repeat(): void {
    this.#step({ type: "welcomed" });
  }

  partEnded(ended: PartEnded<PartOffer>): void {
    this.#step(ended);
  }

  openSnapshots(): SnapshotRef[] {
    return openAttempts(this.#state);
  }

  get isIdle(): boolean {
    return isDeskIdle(this.#state, this.#client.attachment());
  }

  /** As an agent's, a clock that does not jump. */
  get #nowMs(): number {
    return this.#process.world.engine.nowMs;
  }

  #step(input: DeskInput<Report, PartOffer>): void {
    for (const effect of stepDesk(this.#state, input)) this.#perform(effect);
    this.#expireInTime();
  }

  #perform(effect: DeskEffect<Report, PartOffer>): void {
    switch (effect.type) {
      case "send":
        effect.said.outcome = this.#client.send(effect.said.report);
        return;
      case "upload":
        this.#client.upload(effect.part);
        return;
      case "giveUp":
        this.#process.world.broke(effect.code === "RecordsIncomplete" ? "I2" : "I7", effect.message);
        return;
      case "expired":
        this.#process.ended(effect.ref);
        return;
      case "release":
        return;
    }
  }

  #expireInTime(): void {
    this.#expiry?.cancel();
    const atMs = nextExpiryMs(this.#state);
    if (atMs === undefined) return;
    this.#expiry = this.#process.world.engine.after(Math.max(1, atMs - this.#nowMs), () => {
      if (this.#process.alive) this.#step({ type: "tick", nowMs: this.#nowMs });
    });
  }

  #offer(ref: SnapshotRef, kind: PartOffer["kind"], owner: string, content: string): PartOffer {
    return { ref, kind, owner, self: this.#process.self, content };
  }
}
