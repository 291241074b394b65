import type { UploadHeader } from "@cutline/proto/control";
import type { EnvironmentPeer } from "@cutline/proto/snapshot";
import {
  type ChannelFacts,
  type CutFacts,
  createDeskState,
  type DeskEffect,
  type DeskInput,
  type DeskState,
  isDeskIdle,
  isOpenAttempt,
  nextExpiryMs,
  openAttempts,
  type SnapshotRef,
  stepDesk,
} from "@cutline/protocol";
import type { Logger } from "@cutline/runtime";
import type { ChannelRecords } from "../capture/recorder.ts";
import type { CaptureResult } from "../capture/result.ts";
import type { CoordinatorClient } from "./coordinator-client.ts";
import type { ControlLimits } from "./limits.ts";
import { type PartContent, recordsPart, statePart, uploadPart } from "./parts.ts";
import { channelReport, cutReport, failureReport, type Report } from "./reports.ts";

/** Of parts that are records, each behind its length as a varint. */
const recordsContentType = "application/x-protobuf";

export interface SnapshotDeskOptions {
  readonly self: { readonly processId: string; readonly incarnation: string };
  readonly client: Pick<CoordinatorClient, "attached" | "send" | "upload">;
  readonly environment: () => readonly EnvironmentPeer[];
  readonly limits: Pick<ControlLimits, "snapshotsMax" | "forgetAfterMs">;
  readonly logger: Logger;
  /** Milliseconds that only grow. */
  readonly now: () => number;
  /** This process cannot give what the attempt needs; its owner lets the capture fail. Never called from inside a call. */
  readonly onGivenUp: (ref: SnapshotRef, code: string, message: string) => void;
  /** Nobody said in time that the attempt has ended: its owner takes it as ended. */
  readonly onExpired: (ref: SnapshotRef) => void;
}

type Input = DeskInput<Report, PartContent>;

/** The longest that a timer of Node can wait. */
const timerMsMax = 2 ** 31 - 1;

/** What this agent owes the coordinator: steps the protocol's desk, says its reports and uploads its parts. */
export class SnapshotDesk {
  readonly #options: SnapshotDeskOptions;
  readonly #state: DeskState<Report, PartContent>;
  readonly #idleWaiters = new Set<() => void>();
  #expiry: NodeJS.Timeout | undefined;

  constructor(options: SnapshotDeskOptions) {
    this.#options = options;
    this.#state = createDeskState(options.limits);
  }

  /** A marker told of the attempt before the coordinator did. */
  noticed(ref: SnapshotRef): void {
    this.#step({ type: "noticed", ref, nowMs: this.#options.now() });
  }

  /** The coordinator told of it. `store` false: what was uploaded before is broken off and dropped. */
  begun(ref: SnapshotRef, store: boolean, remainingMs: number): void {
    this.#step({ type: "begun", ref, store, remainingMs, nowMs: this.#options.now() });
  }

  cut(facts: CutFacts, result: CaptureResult): void {
    const { ref } = facts;
    const parts = [statePart(this.#header(ref, "local", "", result.state.contentType), result.state)];
    if (result.callsInProcess.length > 0) parts.push(this.#records(ref, "calls", "", result.callsInProcess));
    for (const { channel } of facts.outgoing) {
      const encoded = result.outboxes.get(channel)?.encoded ?? [];
      if (encoded.length > 0) parts.push(this.#records(ref, "outbox", channel, encoded));
    }
    const report = cutReport(facts, result, this.#options.environment());
    this.#step({ type: "cut", ref, report, parts, nowMs: this.#options.now() });
  }

  channelClosed(facts: ChannelFacts, { encoded, messages }: ChannelRecords): void {
    const { ref, channel, recordedCount } = facts;
    this.#step({
      type: "channelClosed",
      ref,
      channel,
      recordedCount,
      keptCount: encoded.length,
      report: channelReport(facts, messages),
      part: this.#records(ref, "channel", channel, encoded),
      nowMs: this.#options.now(),
    });
  }

  /** Nothing else is said of the attempt any more, and its parts are dropped. */
  failed(ref: SnapshotRef, code: string, message: string): void {
    const report = failureReport(this.#options.self.processId, ref, code, message);
    this.#step({ type: "failed", ref, report, nowMs: this.#options.now() });
  }

  /** The process's own part is over. A failure is kept and repeated until the coordinator says that the attempt has ended. */
  forget(ref: SnapshotRef): void {
    this.#step({ type: "forget", ref });
  }

  /** The coordinator says that the attempt has ended: everything of it is dropped. */
  ended(ref: SnapshotRef): void {
    this.#step({ type: "ended", ref });
  }

  /** After a welcome: everything is said again, for the coordinator may be another one. */
  repeat(): void {
    this.#step({ type: "welcomed" });
  }

  openSnapshots(): SnapshotRef[] {
    return openAttempts(this.#state);
  }

  /**
   * Waits until all reports are sent and no upload is under way; `timedOut` after `withinMs`. Attempts without a report
   * are not waited for.
   */
  idle(withinMs: number): Promise<"idle" | "timedOut"> {
    if (this.#isIdle) return Promise.resolve("idle");
    return new Promise((resolve) => {
      const done = (outcome: "idle" | "timedOut") => {
        clearTimeout(timer);
        this.#idleWaiters.delete(look);
        resolve(outcome);
      };
      const look = () => {
        if (this.#isIdle) done("idle");
      };
      const timer = setTimeout(() => done("timedOut"), withinMs);
      this.#idleWaiters.add(look);
    });
  }

  get #isIdle(): boolean {
    return isDeskIdle(this.#state, this.#options.client.attached ? "attached" : "detached");
  }

  #step(input: Input): void {
    for (const effect of stepDesk(this.#state, input)) this.#perform(effect);
    this.#expireInTime();
    for (const look of [...this.#idleWaiters]) look();
  }

  #perform(effect: DeskEffect<Report, PartContent>): void {
    const { client, logger } = this.#options;
    switch (effect.type) {
      case "send":
        effect.said.outcome = client.send(effect.said.report);
        return;
      case "upload":
        void uploadPart(client, logger, effect.part).then((ended) => this.#step(ended));
        return;
      case "release":
        effect.content.release();
        return;
      case "giveUp": {
        const { ref, code, message } = effect;
        // Never while its owner is in the middle of something. What has ended by then is given up already.
        const isKept = isOpenAttempt(this.#state, ref);
        queueMicrotask(() => {
          if (!isKept || isOpenAttempt(this.#state, ref)) this.#options.onGivenUp(ref, code, message);
        });
        return;
      }
      case "expired":
        logger.warn({ ...effect.ref }, "no end was heard of a snapshot: it is forgotten");
        this.#options.onExpired(effect.ref);
        return;
    }
  }

  #expireInTime(): void {
    clearTimeout(this.#expiry);
    const atMs = nextExpiryMs(this.#state);
    if (atMs === undefined) return;
    const { now } = this.#options;
    const inMs = Math.min(Math.max(0, Math.ceil(atMs - now())), timerMsMax);
    this.#expiry = setTimeout(() => this.#step({ type: "tick", nowMs: now() }), inMs);
    this.#expiry.unref();
  }

  #records(
    ref: SnapshotRef,
    kind: "calls" | "channel" | "outbox",
    channel: string,
    encoded: readonly Uint8Array[],
  ): PartContent {
    return recordsPart(this.#header(ref, kind, channel, recordsContentType), encoded);
  }

  #header(
    ref: SnapshotRef,
    kind: "local" | "calls" | "channel" | "outbox",
    channelId: string,
    contentType: string,
  ): UploadHeader {
    const { processId, incarnation } = this.#options.self;
    return { ref: { ...ref }, processId, incarnation, kind, channelId, contentType };
  }
}
