import type { Snapshot } from "@cutline/proto/snapshot";
import type { Verdict } from "./judge.ts";
import type { Span } from "./numbers.ts";

/** `sdk`: captured exactly, by the participant SDK. `opaque`: captured at its boundary. */
export type ProcessKind = "sdk" | "opaque";

/** Of one reason, at one kind of process. */
export interface Flag {
  readonly kind: ProcessKind;
  readonly processId: string;
  readonly code: string;
}

const messagesKeptMax = 20;

/** Everything that is counted, over all snapshots. */
export class Tally {
  readonly counts = { conserved: 0, flagged: 0, flaggedAndWrong: 0, failed: 0, violated: 0, verified: 0 };
  /** Snapshots with a flag, by flag. */
  readonly flags = new Map<string, { readonly flag: Flag; count: number; example: string }>();
  /** Snapshots in which a branch with the SDK was flagged. */
  sdkFlagged = 0;
  /** By reason. */
  readonly failures = new Map<string, number>();
  /** One line for each failure and each violation; the first few. */
  readonly messages: string[] = [];
  readonly pausesUs: Readonly<Record<ProcessKind, number[]>> = { sdk: [], opaque: [] };
  readonly lockWaitsUs: number[] = [];
  readonly durationsMs: Record<Half, number[]> = { first: [], second: [] };
  readonly spans: Record<Half, Span[]> = { first: [], second: [] };
  readonly inFlightMessages: number[] = [];
  inFlightBytes = 0;
  callsInProcess = 0;
  readonly #onMessage: (line: string) => void;

  /** `onMessage` is told of the first failures and violations as they are found. */
  constructor(onMessage: (line: string) => void) {
    this.#onMessage = onMessage;
  }

  get ended(): number {
    const { conserved, flagged, failed, violated } = this.counts;
    return conserved + flagged + failed + violated;
  }

  add(snapshot: Snapshot, verdict: Verdict, half: Half): void {
    this.counts[verdict.outcome] += 1;
    if (verdict.outcome === "flagged" && verdict.total === "wrong") this.counts.flaggedAndWrong += 1;
    if (verdict.outcome === "failed") this.fail(snapshot.id, snapshot.reason || snapshot.phase, snapshot.message);
    if (verdict.outcome === "violated") this.#note(`${snapshot.id} VIOLATED: ${verdict.problems.join("; ")}`);
    this.#times(snapshot, half);
    if (snapshot.phase !== "Completed") return;
    this.#flags(snapshot);
    for (const { captureSource, pauseUs, lockWaitUs, callsInProcess } of snapshot.processes) {
      const kind = kindOf(captureSource);
      this.pausesUs[kind].push(pauseUs);
      if (kind === "sdk") this.lockWaitsUs.push(lockWaitUs);
      this.callsInProcess += callsInProcess;
    }
    let messages = 0;
    for (const channel of snapshot.channels) {
      messages += channel.messages;
      this.inFlightBytes += channel.recordsBytes + channel.outboxBytes;
    }
    this.inFlightMessages.push(messages);
  }

  /** A snapshot that never came to an end of its own. */
  broken(id: string, error: Error): void {
    this.counts.failed += 1;
    this.fail(id, error.name, error.message);
  }

  fail(id: string, reason: string, message: string): void {
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1);
    this.#note(`${id} failed: ${reason}: ${message}`);
  }

  #note(line: string): void {
    if (this.messages.length >= messagesKeptMax) return;
    this.messages.push(line);
    this.#onMessage(line);
  }

  #times(snapshot: Snapshot, half: Half): void {
    this.durationsMs[half].push(snapshot.durationMs);
    const [fromMs, toMs] = [Date.parse(snapshot.createdAt), Date.parse(snapshot.endedAt)];
    this.spans[half].push({ fromMs, toMs });
  }

  #flags(snapshot: Snapshot): void {
    let sdk: "flagged" | "exact" = "exact";
    for (const process of snapshot.processes) {
      const kind = kindOf(process.captureSource);
      if (kind === "sdk" && !process.exact) sdk = "flagged";
      for (const { code, message } of process.reasons) {
        const key = `${kind} ${process.id} ${code}`;
        const known = this.flags.get(key) ?? {
          flag: { kind, processId: process.id, code },
          count: 0,
          example: `${snapshot.id}: ${message}`,
        };
        known.count += 1;
        this.flags.set(key, known);
      }
    }
    if (sdk === "flagged") this.sdkFlagged += 1;
  }
}

/** `first`: one after another. `second`: overlapping. */
export type Half = "first" | "second";

function kindOf(captureSource: string): ProcessKind {
  return captureSource === "participant" ? "sdk" : "opaque";
}
