import { setTimeout as delay } from "node:timers/promises";
import type { Reason } from "@cutline/proto/snapshot";
import type { SnapshotRef } from "@cutline/protocol";
import { describeError } from "@cutline/runtime";
import type { CallEnd } from "../dataplane/call/call-end.ts";
import type { DataPlane } from "../dataplane/data-plane.ts";
import type { Http2Client } from "../dataplane/http2/port.ts";
import { abortError } from "./abort.ts";
import { encodeUnanswered } from "./calls-in-process.ts";
import type { Commit, Cutter } from "./cutter.ts";
import { CaptureError } from "./errors.ts";
import type { CaptureLimits } from "./limits.ts";
import { readTwice, type TwoReadings } from "./read-twice.ts";
import { callsOf, letGo, letOutAllThatWasRead, takeOutboxes } from "./standstill.ts";
import type { StateSource } from "./state-source.ts";

export interface BoundaryCutOptions {
  readonly processId: string;
  readonly plane: DataPlane;
  readonly applicationClient: Http2Client;
  readonly source: StateSource;
  readonly limits: CaptureLimits;
  now(): number;
}

/**
 * The cut of an opaque application: its traffic is brought to a standstill and its state is read twice. It counts as
 * exact only when no call was in process, nothing crossed during the readings and for a guard time after, and both
 * readings are the same; else it is tried again, and then taken as it is, with the reasons and the calls in process.
 */
export class BoundaryCut implements Cutter {
  readonly #options: BoundaryCutOptions;
  #lastCancelledMs = Number.NEGATIVE_INFINITY;

  constructor(options: BoundaryCutOptions) {
    this.#options = options;
  }

  /** A call was reset while its handler may have been at work, and nobody will hear when it ends. */
  noteCancelled(): void {
    this.#lastCancelledMs = this.#options.now();
  }

  async cut(_ref: SnapshotRef, commit: Commit, signal: AbortSignal): Promise<void> {
    const startedMs = this.#options.now();
    const { plane, limits } = this.#options;
    try {
      for (let tries = 1; ; tries += 1) {
        const read = await this.#read(signal).catch((error) => {
          // What could not be read to its end, a file that changed meanwhile for one, may be read the next time.
          if (tries >= limits.triesMax || !(error instanceof CaptureError) || error.code !== "StateUnreadable")
            throw error;
          return undefined;
        });
        if (read === undefined) {
          letGo(plane);
          continue;
        }
        const { readings, doubts } = read;
        if (doubts.size === 0 || tries >= limits.triesMax) {
          commit(this.#conclude(readings, doubts, startedMs));
          return;
        }
        await readings.spool.discard();
        letGo(plane);
      }
    } finally {
      letGo(plane);
    }
  }

  /** One try: from open traffic to a standstill, with the state read. Doubts: code and message. */
  async #read(signal: AbortSignal): Promise<{ readings: TwoReadings; doubts: Map<string, string> }> {
    const { plane, source, limits, applicationClient } = this.#options;
    const { gate, environment } = plane;
    const doubts = new Map<string, string>();
    gate.toApplication = "noNewCalls";
    await this.#drain(signal);
    gate.toApplication = "closed";
    gate.fromApplication = "frozen";
    await this.#untilProcessed(applicationClient, doubts);
    await delay(limits.guardMs, undefined, { signal }).catch(() => "aborted");
    const crossings = gate.crossings;
    const inProcess = unansweredCalls(plane).length;
    const overdue = new CaptureError(
      "CaptureTimedOut",
      `reading the state took longer than ${limits.captureTimeoutMs} ms`,
    );
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(overdue), limits.captureTimeoutMs);
    const { stateMemoryBytesMax: memoryBytesMax, stateBytesMax: bytesMax } = limits;
    try {
      const readings = await readTwice(
        source,
        { memoryBytesMax, bytesMax },
        AbortSignal.any([signal, deadline.signal]),
      );
      await delay(limits.guardMs, undefined, { signal }).catch(() => "aborted");
      if (signal.aborted) {
        await readings.spool.discard();
        throw abortError(signal, "the capture");
      }
      if (readings.outcome === "different") doubts.set("StateMoved", "the state changed between two readings");
      if (gate.crossings !== crossings) doubts.set("TrafficDuringReading", "messages crossed while the state was read");
      if (inProcess > 0)
        doubts.set(
          "CallsInProcess",
          `${inProcess} calls were in process and did not finish in ${limits.drainTimeoutMs} ms`,
        );
      if ([...callsOf(plane)].some((call) => call.isInsideMessage)) {
        doubts.set("MessageInPart", "a message had crossed in part");
      }
      if (environment.openInbound > 0) {
        doubts.set(
          "EnvironmentCallsInProcess",
          `${environment.openInbound} calls of callers without an agent were in process`,
        );
      }
      if (this.#options.now() - this.#lastCancelledMs < cancelledDoubtMs) {
        doubts.set(
          "CancelledCallMayRun",
          `a call was cancelled less than ${cancelledDoubtMs} ms before, and its handler may still have been at work`,
        );
      }
      return { readings, doubts };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits until no call is in process, for as long as that may take. */
  async #drain(signal: AbortSignal): Promise<void> {
    const { plane, limits, now } = this.#options;
    const deadlineMs = now() + limits.drainTimeoutMs;
    while (unansweredCalls(plane).length > 0 && now() < deadlineMs && !signal.aborted) {
      await delay(drainPollMs, undefined, { signal }).catch(() => "aborted");
    }
    if (signal.aborted) throw abortError(signal, "the capture");
  }

  /** Everything handed over has gone through the application's HTTP/2, and everything it had written has arrived. */
  async #untilProcessed(client: Http2Client, doubts: Map<string, string>): Promise<void> {
    try {
      await client.barrier();
    } catch (error) {
      doubts.set("ApplicationReadsSlowly", describeError(error));
    }
  }

  /** From here to the commit nothing else happens. */
  #conclude(readings: TwoReadings, doubts: ReadonlyMap<string, string>, startedMs: number) {
    const { plane, processId, now } = this.#options;
    letOutAllThatWasRead(plane);
    const reasons: Reason[] = [...doubts].map(([code, message]) => ({ code, message, processId }));
    return {
      exact: reasons.length === 0,
      reasons,
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

function unansweredCalls(plane: DataPlane): CallEnd[] {
  return [...callsOf(plane)].filter((call) => call.isInProcess);
}
