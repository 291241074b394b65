import type { UploadHeader } from "@cutline/proto/control";
import type { EnvironmentPeer } from "@cutline/proto/snapshot";
import { type ChannelFacts, type CutFacts, type SnapshotRef, snapshotKey } from "@cutline/protocol";
import type { Logger } from "@cutline/runtime";
import type { ChannelRecords } from "../capture/recorder.ts";
import type { CapturedState, CaptureResult } from "../capture/result.ts";
import type { CoordinatorClient } from "./coordinator-client.ts";
import type { ControlLimits } from "./limits.ts";
import { OwedParts } from "./owed-parts.ts";
import { channelReport, cutReport, failureReport, type Report } from "./reports.ts";

/** Of parts that are records, each behind its length as a varint. */
const recordsContentType = "application/x-protobuf";

export interface SnapshotDeskOptions {
  readonly self: { readonly processId: string; readonly incarnation: string };
  readonly client: Pick<CoordinatorClient, "attached" | "send" | "upload">;
  readonly environment: () => readonly EnvironmentPeer[];
  readonly limits: Pick<ControlLimits, "snapshotsMax" | "forgetAfterMs">;
  readonly logger: Logger;
  /** This process cannot give what the attempt needs; its owner lets the capture fail. Never called from inside a call. */
  readonly onGivenUp: (ref: SnapshotRef, code: string, message: string) => void;
  /** Nobody said in time that the attempt has ended: its owner takes it as ended. */
  readonly onExpired: (ref: SnapshotRef) => void;
}

interface OpenSnapshot {
  readonly ref: SnapshotRef;
  readonly parts: OwedParts;
  /** In the order in which they are said, and said again. */
  reports: { readonly report: Report; outcome: "sent" | "detached" }[];
  phase: "open" | "givenUp" | "failed";
  /** Outside of the scope nothing is uploaded. Until the coordinator says so, a process is taken to be inside. */
  store: boolean;
  expiry: NodeJS.Timeout | undefined;
}

/** The longest that a timer of Node can wait. */
const timerMsMax = 2 ** 31 - 1;

/** What this agent owes the coordinator for each attempt that runs: reports, said again after every welcome, and parts. */
export class SnapshotDesk {
  readonly #options: SnapshotDeskOptions;
  readonly #open = new Map<string, OpenSnapshot>();
  readonly #idleWaiters = new Set<() => void>();

  constructor(options: SnapshotDeskOptions) {
    this.#options = options;
  }

  /** A marker told of the attempt before the coordinator did. */
  noticed(ref: SnapshotRef): void {
    this.#opened(ref);
  }

  /** The coordinator told of it. `store` false: what was uploaded before is broken off and dropped. */
  begun(ref: SnapshotRef, store: boolean, remainingMs: number): void {
    const open = this.#opened(ref);
    if (open === undefined) return;
    this.#expireAfter(open, remainingMs + this.#options.limits.forgetAfterMs);
    if (store) return;
    open.store = false;
    open.parts.drop();
  }

  cut(facts: CutFacts, result: CaptureResult): void {
    const open = this.#opened(facts.ref);
    if (open === undefined || open.phase === "failed") {
      discard(result.state);
      return;
    }
    this.#report(open, cutReport(facts, result, this.#options.environment()));
    if (!open.store) {
      discard(result.state);
      return;
    }
    open.parts.addState(this.#header(facts.ref, "local", "", result.state.contentType), result.state);
    if (result.callsInProcess.length > 0) {
      open.parts.addRecords(this.#header(facts.ref, "calls", "", recordsContentType), result.callsInProcess);
    }
    for (const { channel } of facts.outgoing) {
      const encoded = result.outboxes.get(channel)?.encoded ?? [];
      if (encoded.length === 0) continue;
      open.parts.addRecords(this.#header(facts.ref, "outbox", channel, recordsContentType), encoded);
    }
  }

  channelClosed(facts: ChannelFacts, records: ChannelRecords): void {
    const { ref, channel, recordedCount } = facts;
    const open = this.#opened(ref);
    if (open === undefined || open.phase === "failed") return;
    if (records.encoded.length !== recordedCount) {
      const message = `channel ${channel} has ${recordedCount} frames in flight, and ${records.encoded.length} were kept`;
      this.#giveUp(open, "RecordsIncomplete", message);
      return;
    }
    this.#report(open, channelReport(facts, records.messages));
    if (!open.store || recordedCount === 0) return;
    open.parts.addRecords(this.#header(ref, "channel", channel, recordsContentType), records.encoded);
  }

  /** Nothing else is said of the attempt any more, and its parts are dropped. */
  failed(ref: SnapshotRef, code: string, message: string): void {
    const report = failureReport(this.#options.self.processId, ref, code, message);
    const open = this.#opened(ref);
    if (open === undefined) {
      this.#options.client.send(report);
      return;
    }
    if (open.phase === "failed") return;
    open.phase = "failed";
    open.reports = [];
    open.parts.drop();
    this.#report(open, report);
    this.#progressed();
  }

  /** The process's own part is over. A failure is kept and repeated until the coordinator says that the attempt has ended. */
  forget(ref: SnapshotRef): void {
    if (this.#open.get(snapshotKey(ref))?.phase !== "failed") this.ended(ref);
  }

  /** The coordinator says that the attempt has ended: everything of it is dropped. */
  ended(ref: SnapshotRef): void {
    const open = this.#open.get(snapshotKey(ref));
    if (open === undefined) return;
    this.#open.delete(snapshotKey(ref));
    clearTimeout(open.expiry);
    open.parts.drop();
    this.#progressed();
  }

  /** After a welcome: everything is said again, for the coordinator may be another one. */
  repeat(): void {
    for (const open of this.#open.values()) {
      for (const entry of open.reports) entry.outcome = this.#options.client.send(entry.report);
      open.parts.repeat();
    }
    this.#progressed();
  }

  openSnapshots(): SnapshotRef[] {
    return [...this.#open.values()].map(({ ref }) => ({ ...ref }));
  }

  /**
   * Waits until all reports are sent and no upload is under way; `timedOut` after `withinMs`. Attempts without a report
   * are not waited for.
   */
  idle(withinMs: number): Promise<"idle" | "timedOut"> {
    if (this.#isIdle()) return Promise.resolve("idle");
    return new Promise((resolve) => {
      const done = (outcome: "idle" | "timedOut") => {
        clearTimeout(timer);
        this.#idleWaiters.delete(look);
        resolve(outcome);
      };
      const look = () => {
        if (this.#isIdle()) done("idle");
      };
      const timer = setTimeout(() => done("timedOut"), withinMs);
      this.#idleWaiters.add(look);
    });
  }

  #isIdle(): boolean {
    const { client } = this.#options;
    return [...this.#open.values()].every(({ reports, parts }) => {
      return (
        parts.idle && (reports.length === 0 || (client.attached && reports.every((one) => one.outcome === "sent")))
      );
    });
  }

  #progressed(): void {
    for (const look of [...this.#idleWaiters]) look();
  }

  #opened(ref: SnapshotRef): OpenSnapshot | undefined {
    const known = this.#open.get(snapshotKey(ref));
    if (known !== undefined) return known;
    const { limits, client, logger } = this.#options;
    if (this.#open.size >= limits.snapshotsMax) {
      const message = `this agent takes part in ${limits.snapshotsMax} snapshots already`;
      queueMicrotask(() => this.#options.onGivenUp(ref, "TooManySnapshots", message));
      return undefined;
    }
    const open: OpenSnapshot = {
      ref: { ...ref },
      parts: new OwedParts(client, logger, {
        onGivenUp: (code, message) => this.#giveUp(open, code, message),
        onProgress: () => this.#progressed(),
      }),
      reports: [],
      phase: "open",
      store: true,
      expiry: undefined,
    };
    this.#open.set(snapshotKey(ref), open);
    this.#expireAfter(open, limits.forgetAfterMs);
    return open;
  }

  #report(open: OpenSnapshot, report: Report): void {
    open.reports.push({ report, outcome: this.#options.client.send(report) });
  }

  /** Once an attempt, and never while its owner is in the middle of something. */
  #giveUp(open: OpenSnapshot, code: string, message: string): void {
    if (open.phase !== "open") return;
    open.phase = "givenUp";
    queueMicrotask(() => {
      if (this.#open.get(snapshotKey(open.ref)) !== open || open.phase === "failed") return;
      this.#options.onGivenUp(open.ref, code, message);
    });
  }

  #expireAfter(open: OpenSnapshot, afterMs: number): void {
    clearTimeout(open.expiry);
    open.expiry = setTimeout(
      () => {
        this.#options.logger.warn({ ...open.ref, afterMs }, "no end was heard of a snapshot: it is forgotten");
        this.ended(open.ref);
        this.#options.onExpired(open.ref);
      },
      Math.min(afterMs, timerMsMax),
    );
    open.expiry.unref();
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

/** Nobody wants this state; whether it comes in at all is of no matter then. */
function discard(state: CapturedState): void {
  state.bytes.then(
    (spool) => spool.discard(),
    () => {},
  );
}
