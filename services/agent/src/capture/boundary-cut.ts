import type { Http2Client, Http2Server } from "@cutline/h2";
import type { SnapshotRef } from "@cutline/protocol";
import { describeError } from "@cutline/runtime";
import type { CallEnd } from "../dataplane/call/call-end.ts";
import type { DataPlane } from "../dataplane/data-plane.ts";
import { abortError, pause, untilAborted } from "./abort.ts";
import { encodeUnanswered } from "./calls-in-process.ts";
import type { Commit, Cutter } from "./cutter.ts";
import { count, Doubts } from "./doubts.ts";
import { CaptureError } from "./errors.ts";
import type { CaptureLimits } from "./limits.ts";
import { readTwice, type TwoReadings } from "./read-twice.ts";
import type { CaptureResult } from "./result.ts";
import { callsOf, letGo, letOutAllThatWasRead, takeOutboxes } from "./standstill.ts";
import type { StateSource } from "./state-source.ts";

export interface BoundaryCutOptions {
  readonly processId: string;
  readonly plane: DataPlane;
  readonly applicationClient: Http2Client;
  /** The connections that the application has made. */
  readonly applicationServer: Http2Server;
  readonly source: StateSource;
  readonly limits: CaptureLimits;
  now(): number;
}

interface Try {
  readonly readings: TwoReadings;
  readonly doubts: Doubts;
}

/**
 * The cut of an opaque application: its traffic is brought to a standstill and its state is read twice. It counts as
 * exact only when no call was in process, nothing crossed during the readings and for a guard time after, and both
 * readings are the same; else it is tried again, and then taken as it is, with the reasons and the calls in process.
 */
export class BoundaryCut implements Cutter {
  readonly #options: BoundaryCutOptions;
  #lastCancelledMs = Number.NEGATIVE_INFINITY;
  #lastStreamAnsweredMs = Number.NEGATIVE_INFINITY;

  constructor(options: BoundaryCutOptions) {
    this.#options = options;
  }

  /** A call was ended while its handler may have been at work, and nobody will hear when it ends. */
  noteCancelled(): void {
    this.#lastCancelledMs = this.#options.now();
  }

  /** The application was given the end of an answer of several messages, which it may read in its own time. */
  noteStreamAnswered(): void {
    this.#lastStreamAnsweredMs = this.#options.now();
  }

  async cut(_ref: SnapshotRef, commit: Commit, signal: AbortSignal): Promise<void> {
    const startedMs = this.#options.now();
    const { plane, limits } = this.#options;
    try {
      for (let tries = 1; ; tries += 1) {
        const isLast = tries >= limits.triesMax;
        const made = await this.#try(isLast, signal);
        if (made !== undefined && (isLast || made.doubts.codes.every((code) => lastingDoubts.has(code)))) {
          commit(this.#conclude(made, startedMs));
          return;
        }
        await made?.readings.spool.discard();
        letGo(plane);
      }
    } finally {
      letGo(plane);
    }
  }

  /** `undefined`: the state could not be read to its end, a file that changed meanwhile for one, and may be the next time. */
  async #try(isLast: boolean, signal: AbortSignal): Promise<Try | undefined> {
    const { gate } = this.#options.plane;
    const doubts = new Doubts();
    gate.toApplication = "noNewCalls";
    await this.#drain(signal);
    gate.toApplication = "closed";
    gate.fromApplication = "frozen";
    await this.#untilProcessed(doubts, signal);
    await this.#guard(signal);
    const crossings = gate.crossings;
    const readings = await this.#read(signal).catch((error) => {
      if (isLast || !(error instanceof CaptureError) || error.code !== "StateUnreadable") throw error;
      return undefined;
    });
    if (readings === undefined) return undefined;
    try {
      await this.#guard(signal);
    } catch (error) {
      await readings.spool.discard();
      throw error;
    }
    if (readings.outcome === "different") doubts.add("StateMoved", "the state changed between two readings");
    if (gate.crossings !== crossings) doubts.add("TrafficDuringReading", "messages crossed while the state was read");
    this.#doubtCalls(doubts);
    return { readings, doubts };
  }

  #doubtCalls(doubts: Doubts): void {
    const { plane, limits, now } = this.#options;
    const inProcess = unansweredCalls(plane).length;
    if (inProcess > 0) {
      const calls = count(inProcess, "call");
      doubts.add("CallsInProcess", `${calls} in process did not finish in ${limits.drainTimeoutMs} ms`);
    }
    const open = [...callsOf(plane)];
    const inPart = open.filter((call) => call.isAnswerInPart).length;
    if (inPart > 0 || now() - this.#lastStreamAnsweredMs < streamDoubtMs) {
      doubts.add("AnswerInPart", "the application had been given answers that it may not have read to their end");
    }
    if (open.some((call) => call.isInsideMessage)) doubts.add("MessageInPart", "a message had crossed in part");
    if (open.some((call) => call.isBackedUp)) {
      doubts.add("BackedUp", "a call stood still for want of room, with messages on either side of the boundary");
    }
    const { openInbound } = plane.environment;
    if (openInbound > 0) {
      doubts.add(
        "EnvironmentCallsInProcess",
        `${count(openInbound, "call")} of callers without an agent were in process`,
      );
    }
    if (now() - this.#lastCancelledMs < cancelledDoubtMs) {
      doubts.add(
        "CancelledCallMayRun",
        `a call was cancelled less than ${cancelledDoubtMs} ms before, and its handler may still have been at work`,
      );
    }
  }

  async #read(signal: AbortSignal): Promise<TwoReadings> {
    const { source, limits } = this.#options;
    const { captureTimeoutMs, stateMemoryBytesMax: memoryBytesMax, stateBytesMax: bytesMax } = limits;
    const overdue = new CaptureError("CaptureTimedOut", `reading the state took longer than ${captureTimeoutMs} ms`);
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(overdue), captureTimeoutMs);
    try {
      return await readTwice(source, { memoryBytesMax, bytesMax }, AbortSignal.any([signal, deadline.signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits until no call is in process, for as long as that may take. */
  async #drain(signal: AbortSignal): Promise<void> {
    const { plane, limits, now } = this.#options;
    const deadlineMs = now() + limits.drainTimeoutMs;
    while (isBusy(plane) && now() < deadlineMs) await pause(drainPollMs, signal);
  }

  /** Everything handed over has gone through the application's HTTP/2, and everything it had written has arrived. */
  async #untilProcessed(doubts: Doubts, signal: AbortSignal): Promise<void> {
    const { applicationClient, applicationServer, limits } = this.#options;
    const deadline = AbortSignal.timeout(Math.max(limits.drainTimeoutMs, limits.guardMs));
    const either = AbortSignal.any([signal, deadline]);
    try {
      const processed = Promise.all([applicationClient.barrier(), applicationServer.barrier(either)]);
      await untilAborted(processed, either, "waiting for the application to take in what it was sent");
    } catch (error) {
      if (signal.aborted) throw abortError(signal, "the capture");
      doubts.add("ApplicationReadsSlowly", describeError(error));
    }
  }

  /** Without a state there is nothing that could not be what the messages have made of it. */
  async #guard(signal: AbortSignal): Promise<void> {
    if (this.#options.source.name === "none") return;
    await pause(this.#options.limits.guardMs, signal);
  }

  /** From here to the end of the commit nothing else happens. */
  #conclude({ readings, doubts }: Try, startedMs: number): CaptureResult {
    const { plane, processId, now } = this.#options;
    letOutAllThatWasRead(plane);
    return {
      exact: doubts.isEmpty,
      reasons: doubts.reasons(processId),
      pauseUs: Math.round((now() - startedMs) * 1_000),
      lockWaitUs: 0,
      epoch: 0,
      outboxes: takeOutboxes(plane),
      callsInProcess: encodeUnanswered(unansweredCalls(plane)),
      state: { contentType: readings.contentType, bytes: Promise.resolve(readings.spool) },
    };
  }
}

const drainPollMs = 2;

/** A cancelled handler is not heard of again; after this long it is taken to have ended. */
const cancelledDoubtMs = 10_000;

/** Answers of several messages are read by an application in its own time; after this long they count as read. */
const streamDoubtMs = 1_000;

/** No second try cures these. */
const lastingDoubts: ReadonlySet<string> = new Set(["ApplicationReadsSlowly", "BackedUp", "CancelledCallMayRun"]);

/** What may be over in a moment: handlers that have not answered, and single answers that have come in part. */
function isBusy(plane: DataPlane): boolean {
  for (const call of callsOf(plane)) {
    if (call.isInProcess || (call.isAnswerInPart && call.inbound.messagesHanded === 1)) return true;
  }
  return false;
}

function unansweredCalls(plane: DataPlane): CallEnd[] {
  return [...callsOf(plane)].filter((call) => call.isInProcess);
}
