import { createHash, type Hash } from "node:crypto";
import type { ChannelEntry, ProcessEntry, Snapshot } from "@cutline/proto/snapshot";
import type { NumberRange } from "@cutline/protocol";
import { countOf } from "../output/values.ts";
import { Findings } from "./findings.ts";
import { checkManifest } from "./manifest.ts";
import { formatRanges, rangesOf, subtract } from "./ranges.ts";
import { formatReport, type VerifyReport } from "./report.ts";

/** Numbers that are named when frames come twice. */
const duplicatesNamedMax = 10;

export interface ProcessHead {
  readonly id: string;
  readonly incarnation: string;
}

export interface ChannelHead {
  readonly id: string;
  readonly from: string;
  readonly to: string;
}

export interface FrameSeen {
  /** NaN: the document has none. */
  readonly number: number;
  readonly source: string;
}

/**
 * Compares a global state with its own manifest while it is read, in the manifest's order or any other. It holds the
 * numbers of one channel's frames and a hash, never a local state.
 */
export class Verifier {
  readonly #snapshot: Snapshot;
  readonly #findings = new Findings();
  readonly #processes: ReadonlyMap<string, ProcessEntry>;
  readonly #channels: ReadonlyMap<string, ChannelEntry>;
  readonly #processesSeen = new Set<string>();
  readonly #channelsSeen = new Set<string>();
  #process: { head: ProcessHead; hash: Hash; bytes: number; calls: number } | undefined;
  #channel: { head: ChannelHead; numbers: number[]; outbox: number } | undefined;
  #totals = { states: 0, stateBytes: 0, calls: 0, recorded: 0, outbox: 0 };

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot;
    this.#processes = new Map(snapshot.processes.map((process) => [process.id, process]));
    this.#channels = new Map(snapshot.channels.map((channel) => [channel.id, channel]));
  }

  /** A violation of the document's own form. */
  malformed(code: string, message: string): void {
    this.#findings.add("document", code, message);
  }

  process(head: ProcessHead): void {
    this.#closeOpen();
    this.#process = { head, hash: createHash("sha256"), bytes: 0, calls: 0 };
  }

  /** The next bytes of the local state of the process begun last. */
  stateBytes(bytes: Uint8Array): void {
    if (this.#process === undefined) {
      this.malformed("StateWithoutProcess", "a piece of a local state stands in front of every process");
      return;
    }
    this.#process.hash.update(bytes);
    this.#process.bytes += bytes.length;
  }

  call(): void {
    if (this.#process === undefined) this.malformed("CallWithoutProcess", "a call stands in front of every process");
    else this.#process.calls += 1;
  }

  channel(head: ChannelHead): void {
    this.#closeOpen();
    this.#channel = { head, numbers: [], outbox: 0 };
  }

  frame(frame: FrameSeen): void {
    const open = this.#channel;
    if (open === undefined) {
      this.malformed("FrameWithoutChannel", "a frame stands in front of every channel");
    } else if (frame.source === "records") {
      open.numbers.push(frame.number);
    } else if (frame.source === "outbox") {
      open.outbox += 1;
      if (frame.number !== 0) {
        const message = `channel ${open.head.id} has a frame numbered ${frame.number} in its outbox, where none has a number`;
        this.#findings.add("outbox", "OutboxNumbered", message, { channelId: open.head.id });
      }
    } else {
      const message = `channel ${open.head.id} has a frame from "${frame.source}", which is neither records nor outbox`;
      this.#findings.add("recorded", "FrameSourceUnknown", message, { channelId: open.head.id });
    }
  }

  end(): VerifyReport {
    this.#closeOpen();
    for (const process of this.#processes.values()) {
      if (process.stored && !this.#processesSeen.has(process.id)) {
        const message = `process ${process.id} has no local state here, but the manifest says it is stored`;
        this.#findings.add("states", "StateMissing", message, { processId: process.id });
      }
    }
    for (const channel of this.#channels.values()) {
      if (!this.#channelsSeen.has(channel.id) && channel.recordedCount + channel.outboxCount > 0) {
        const message = `channel ${channel.id} (${channel.from} to ${channel.to}) is missing with ${channel.recordedCount} recorded frames and ${channel.outboxCount} in its outbox`;
        this.#findings.add("channels", "ChannelMissing", message, { channelId: channel.id });
      }
    }
    checkManifest(this.#snapshot, this.#findings);
    return formatReport(this.#snapshot, this.#totals, this.#findings);
  }

  #closeOpen(): void {
    const process = this.#process;
    const channel = this.#channel;
    this.#process = undefined;
    this.#channel = undefined;
    if (process !== undefined)
      this.#checkProcess(process.head, process.hash.digest("hex"), process.bytes, process.calls);
    if (channel !== undefined) this.#checkChannel(channel.head, channel.numbers, channel.outbox);
  }

  #checkProcess(head: ProcessHead, sha256: string, bytes: number, calls: number): void {
    const subject = { processId: head.id };
    const states = (code: string, what: string) =>
      this.#findings.add("states", code, `process ${head.id} ${what}`, subject);
    if (this.#processesSeen.has(head.id)) {
      states("ProcessTwice", "stands here twice");
      return;
    }
    this.#processesSeen.add(head.id);
    const entry = this.#processes.get(head.id);
    if (entry === undefined) {
      states("ProcessUnknown", "is not in the manifest");
      return;
    }
    if (head.incarnation !== entry.incarnation) {
      states("IncarnationDiffers", `is incarnation ${head.incarnation} here, ${entry.incarnation} in the manifest`);
    }
    if (!entry.stored) {
      if (bytes > 0) states("StateUnexpected", `has ${countOf(bytes, "byte")} of state, but none is stored of it`);
      return;
    }
    if (bytes !== entry.stateBytes) {
      states("StateSizeDiffers", `has ${countOf(bytes, "byte")} of state, the manifest says ${entry.stateBytes}`);
    }
    // A stateless process has no bytes, and so no part with a hash.
    const isNone = bytes === 0 && entry.stateBytes === 0 && entry.stateSha256 === "";
    if (!isNone && sha256 !== entry.stateSha256) {
      states(
        "StateHashDiffers",
        `has a state with SHA-256 ${sha256}, the manifest says ${entry.stateSha256 || "none"}`,
      );
    }
    if (calls !== entry.callsInProcess) {
      const message = `process ${head.id} has ${countOf(calls, "call")} in process here, the manifest says ${entry.callsInProcess}`;
      this.#findings.add("calls", "CallsDiffer", message, subject);
    }
    this.#totals.states += 1;
    this.#totals.stateBytes += bytes;
    this.#totals.calls += calls;
  }

  #checkChannel(head: ChannelHead, numbers: readonly number[], outbox: number): void {
    const subject = { channelId: head.id };
    const name = `channel ${head.id} (${head.from} to ${head.to})`;
    const add = (check: "channels" | "recorded" | "outbox", code: string, what: string) =>
      this.#findings.add(check, code, `${name} ${what}`, subject);
    if (this.#channelsSeen.has(head.id)) {
      add("channels", "ChannelTwice", "stands here twice");
      return;
    }
    this.#channelsSeen.add(head.id);
    const entry = this.#channels.get(head.id);
    if (entry === undefined) {
      add("channels", "ChannelUnknown", "is not in the manifest");
      return;
    }
    if (head.from !== entry.from || head.to !== entry.to) {
      add("channels", "ChannelEndsDiffer", `goes from ${entry.from} to ${entry.to} in the manifest`);
    }
    const numbered = numbers.filter((number) => Number.isSafeInteger(number) && number > 0);
    if (numbered.length !== numbers.length) {
      add(
        "recorded",
        "FrameWithoutNumber",
        `has ${countOf(numbers.length - numbered.length, "recorded frame")} without a number`,
      );
    }
    const { ranges, duplicates } = rangesOf(numbered, duplicatesNamedMax);
    if (duplicates.length > 0) add("recorded", "FramesTwice", `has the frames ${duplicates.join(", ")} twice`);
    const promised = ordered(entry.recorded);
    const missing = subtract(promised, ranges);
    const unexpected = subtract(ranges, promised);
    if (missing.length > 0) add("recorded", "FramesMissing", `lacks the recorded frames ${formatRanges(missing)}`);
    if (unexpected.length > 0) {
      add("recorded", "FramesUnexpected", `has the frames ${formatRanges(unexpected)}, which the manifest has not`);
    }
    if (outbox !== entry.outboxCount) {
      add(
        "outbox",
        "OutboxDiffers",
        `has ${countOf(outbox, "frame")} in its outbox, the manifest says ${entry.outboxCount}`,
      );
    }
    this.#totals.recorded += numbers.length;
    this.#totals.outbox += outbox;
  }
}

/** Ranges that are out of order are the certificate check's finding; here they must only not confuse. */
function ordered(ranges: readonly NumberRange[]): NumberRange[] {
  return [...ranges].filter(({ first, last }) => first <= last).sort((a, b) => a.first - b.first);
}
