import { type ChannelFacts, type CutFacts, type SnapshotRef, snapshotKey } from "@cutline/protocol";
import type { CapturedState } from "../data/capturer.ts";
import type { Reports, SimProcess } from "../data/process.ts";
import type { Timer } from "../engine/engine.ts";
import type { PartOffer, Report } from "./messages.ts";

interface OpenSnapshot {
  readonly ref: SnapshotRef;
  readonly reports: Report[];
  parts: OwedPart[];
  phase: "open" | "failed";
  store: boolean;
  expiry: Timer | undefined;
}

export interface OwedPart {
  readonly offer: PartOffer;
  phase: "waiting" | "underWay" | "notWanted" | "stored" | "dropped";
}

export interface DeskClient {
  send(report: Report): "sent" | "detached";
  /** Goes on until the part is stored, not wanted, or dropped. */
  upload(part: OwedPart): void;
}

/** What a process owes the coordinator for each attempt, as services/agent/src/control/snapshot-desk.ts. */
export class Desk implements Reports {
  readonly #process: SimProcess;
  readonly #client: DeskClient;
  readonly #forgetAfterMs: number;
  readonly #open = new Map<string, OpenSnapshot>();

  constructor(process: SimProcess, client: DeskClient, forgetAfterMs: number) {
    this.#process = process;
    this.#client = client;
    this.#forgetAfterMs = forgetAfterMs;
  }

  noticed(ref: SnapshotRef): void {
    this.#opened(ref);
  }

  begun(ref: SnapshotRef, store: boolean, remainingMs: number): void {
    const open = this.#opened(ref);
    this.#expireAfter(open, remainingMs + this.#forgetAfterMs);
    if (store) return;
    open.store = false;
    drop(open);
  }

  cut(facts: CutFacts, state: CapturedState): void {
    const open = this.#opened(facts.ref);
    if (open.phase === "failed") return;
    this.#report(open, {
      type: "cut",
      ref: facts.ref,
      report: {
        exact: state.exact,
        reasons: state.exact
          ? []
          : [{ code: "Doubt", message: "the capture was in doubt", processId: this.#process.self.process }],
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
    });
    if (!open.store) return;
    this.#owe(open, "local", this.#process.self.process, state.local);
    if (state.callsInProcess > 0) this.#owe(open, "calls", this.#process.self.process, state.calls);
    for (const [channel, { content }] of state.outboxes) this.#owe(open, "outbox", channel, content);
  }

  channel(facts: ChannelFacts, content: string, count: number, messages: number): void {
    const open = this.#opened(facts.ref);
    if (open.phase === "failed") return;
    if (count !== facts.recordedCount) {
      const message = `${facts.channel} has ${facts.recordedCount} frames in flight, and ${count} were kept`;
      this.#process.world.broke("I2", message);
      return;
    }
    const { ref, channel, ...report } = facts;
    this.#report(open, { type: "channel", ref, report: { channelId: channel, ...report, messages } });
    if (open.store && facts.recordedCount > 0) this.#owe(open, "channel", channel, content);
  }

  failed(ref: SnapshotRef, code: string): void {
    const open = this.#opened(ref);
    if (open.phase === "failed") return;
    open.phase = "failed";
    open.reports.length = 0;
    drop(open);
    this.#report(open, { type: "captureFailed", ref, code });
  }

  forget(ref: SnapshotRef): void {
    if (this.#open.get(snapshotKey(ref))?.phase !== "failed") this.ended(ref);
  }

  ended(ref: SnapshotRef): void {
    const open = this.#open.get(snapshotKey(ref));
    if (open === undefined) return;
    this.#open.delete(snapshotKey(ref));
    open.expiry?.cancel();
    drop(open);
  }

  /** After a welcome: everything is said again. */
  repeat(): void {
    for (const open of this.#open.values()) {
      for (const report of open.reports) this.#client.send(report);
      for (const part of open.parts) {
        if (part.phase !== "notWanted") continue;
        part.phase = "waiting";
        this.#client.upload(part);
      }
    }
  }

  openSnapshots(): SnapshotRef[] {
    return [...this.#open.values()].map(({ ref }) => ref);
  }

  get isIdle(): boolean {
    return [...this.#open.values()].every(({ parts }) =>
      parts.every(({ phase }) => phase !== "waiting" && phase !== "underWay"),
    );
  }

  #opened(ref: SnapshotRef): OpenSnapshot {
    const known = this.#open.get(snapshotKey(ref));
    if (known !== undefined) return known;
    const open: OpenSnapshot = { ref, reports: [], parts: [], phase: "open", store: true, expiry: undefined };
    this.#open.set(snapshotKey(ref), open);
    this.#expireAfter(open, this.#forgetAfterMs);
    return open;
  }

  #owe(open: OpenSnapshot, kind: PartOffer["kind"], owner: string, content: string): void {
    const part: OwedPart = {
      offer: { ref: open.ref, kind, owner, self: this.#process.self, content },
      phase: "waiting",
    };
    open.parts.push(part);
    this.#client.upload(part);
  }

  #report(open: OpenSnapshot, report: Report): void {
    open.reports.push(report);
    this.#client.send(report);
  }

  #expireAfter(open: OpenSnapshot, afterMs: number): void {
    open.expiry?.cancel();
    open.expiry = this.#process.clock.after(afterMs, () => {
      if (!this.#process.alive) return;
      this.ended(open.ref);
      this.#process.ended(open.ref);
    });
  }
}

function drop(open: OpenSnapshot): void {
  for (const part of open.parts) part.phase = "dropped";
  open.parts = [];
}
