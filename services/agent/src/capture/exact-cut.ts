import type { CapturePoint } from "@cutline/proto/participant";
import type { SnapshotRef } from "@cutline/protocol";
import type { DataPlane } from "../dataplane/data-plane.ts";
import { pause } from "./abort.ts";
import { encodeOpenHandlers } from "./calls-in-process.ts";
import type { Commit, Cutter } from "./cutter.ts";
import { count, Doubts } from "./doubts.ts";
import { CaptureError } from "./errors.ts";
import type { CaptureLimits } from "./limits.ts";
import type { OpenCapture, ParticipantSession } from "./participant-session.ts";
import { madeAndOpen, placeCalls } from "./placing.ts";
import type { ReceiptBook } from "./receipts.ts";
import { settle } from "./settling.ts";
import { createSpool, type Spool } from "./spool.ts";
import { callsOf, letGo, takeOutboxes } from "./standstill.ts";

/** For the call of the capture to get to the application, while traffic still flows. */
const openingMs = 2;

const sha256Pattern = /^[0-9a-f]{64}$/;

export interface ExactCutOptions {
  readonly processId: string;
  readonly plane: DataPlane;
  readonly session: ParticipantSession;
  readonly receipts: ReceiptBook;
  readonly limits: CaptureLimits;
  now(): number;
}

/**
 * The cut of an application that says where it stands (docs/reference/capture-contract.md). Traffic with the links is
 * held from the request until everything that the application had sent by its instant has come out of its sockets; it
 * waits for nothing outside this process.
 */
export class ExactCut implements Cutter {
  readonly #options: ExactCutOptions;

  constructor(options: ExactCutOptions) {
    this.#options = options;
  }

  async cut(ref: SnapshotRef, commit: Commit, signal: AbortSignal): Promise<void> {
    const { plane, session, limits, processId, now } = this.#options;
    const { gate } = plane;
    // It may just have changed its connection; traffic need not stand still for that.
    await session.whenKnown(signal);
    const prepared = session.prepareCapture(signal);
    try {
      await pause(openingMs, signal);
    } catch (error) {
      prepared.cancel();
      throw error;
    }
    const startedMs = now();
    gate.toApplication = "closed";
    gate.fromApplication = "frozen";
    try {
      const { captureTimeoutMs, stateBytesMax } = limits;
      const capture = await prepared.request(ref, captureTimeoutMs, stateBytesMax);
      const { point } = capture;
      const doubts = await this.#standStillAt(point, signal);
      // From here to the end of the commit nothing else happens.
      const reasons = doubts.reasons(processId);
      const outboxes = takeOutboxes(plane);
      commit({
        exact: reasons.length === 0,
        reasons,
        pauseUs: Math.round((now() - startedMs) * 1_000),
        lockWaitUs: point.lockWaitUs,
        epoch: point.epoch,
        outboxes,
        callsInProcess: encodeOpenHandlers(point.incomingOpen, plane.calls),
        state: { contentType: point.contentType, bytes: this.#collect(capture) },
      });
    } finally {
      letGo(plane);
    }
  }

  /** Places every call at the point, and waits for what stands before it. */
  async #standStillAt(point: CapturePoint, signal: AbortSignal): Promise<Doubts> {
    const { plane, receipts, limits } = this.#options;
    const { calls } = plane;
    const doubts = new Doubts();
    const made = madeAndOpen(point);
    placeCalls(plane, point, doubts);
    calls.rememberCut(point.epoch, made);
    const timeoutMs = limits.settleTimeoutMs;
    const outstanding = await settle({ plane, receipts, made: made.keys(), timeoutMs, signal });
    if (outstanding.calls > 0) {
      const late = count(outstanding.calls, "call");
      doubts.add("SettleTimedOut", `messages of ${late} did not come out of the application in ${timeoutMs} ms`);
    }
    if (outstanding.unseen.length > 0) {
      const [first] = outstanding.unseen;
      const unseen = count(outstanding.unseen.length, "call");
      doubts.add(
        "OutgoingCallNeverSeen",
        `${unseen} of the application never came to its agent; the first has id ${first}`,
      );
      calls.dropIfLate(outstanding.neverSent);
    }
    const answered = [...made.keys()].filter((id) => calls.isAnsweredByAgent(id)).length;
    if (answered > 0) {
      const ended = count(answered, "call");
      doubts.add(
        "AnswerOfAgentInFlight",
        `the agent had ended ${ended} in a peer's place, and the application did not know yet`,
      );
    }
    this.#doubtCalls(doubts);
    const toItself = [...made.keys()].filter((id) => calls.isOwn(id)).length;
    if (toItself > 0) {
      const own = count(toItself, "call");
      doubts.add("CallToItself", `${own} of the application to itself was open, and such a call has no channel`);
    }
    return doubts;
  }

  #doubtCalls(doubts: Doubts): void {
    const { plane } = this.#options;
    const open = [...callsOf(plane)];
    if (plane.calls.unnamedCalls > 0) {
      const calls = count(plane.calls.unnamedCalls, "call");
      doubts.add("UnwrappedCall", `${calls} came from a client that participant.client() has not wrapped`);
    }
    const unnamed = open.filter((call) => call.role === "callee" && call.isHanded && call.applicationId === undefined);
    if (unnamed.length > 0) {
      const calls = count(unnamed.length, "call");
      doubts.add("HandlerWithoutName", `${calls} had been handed over before the application was greeted`);
    }
    const cutShort = open.filter((call) => call.hasLostSome);
    if (cutShort.length > 0) {
      const calls = count(cutShort.length, "call");
      doubts.add("CallCutShort", `${calls} ended before all they had sent had come out of the application`);
    }
  }

  async #collect(capture: OpenCapture): Promise<Spool> {
    const { stateMemoryBytesMax, stateBytesMax } = this.#options.limits;
    // The application has made the hash. The coordinator makes it again of what it stores: here it would only cost time.
    const spool = createSpool({ memoryBytesMax: stateMemoryBytesMax, bytesMax: stateBytesMax, hash: "given" });
    try {
      for await (const chunk of capture.chunks()) await spool.take(chunk);
      const { sizeBytes, sha256 } = capture.end ?? { sizeBytes: -1, sha256: "" };
      if (sizeBytes !== spool.sizeBytes || !sha256Pattern.test(sha256)) {
        const message = `${spool.sizeBytes} bytes of state came, and the application says it sent ${sizeBytes} with sha256 "${sha256}"`;
        throw new CaptureError("StateDamaged", message);
      }
      await spool.end(sha256);
      return spool;
    } catch (error) {
      await spool.discard();
      throw error;
    }
  }
}
