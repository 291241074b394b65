import type { CallPosition, CapturePoint } from "@cutline/proto/participant";
import type { Reason } from "@cutline/proto/snapshot";
import type { SnapshotRef } from "@cutline/protocol";
import type { CallEnd } from "../dataplane/call/call-end.ts";
import { everything, nothingYet, type Position } from "../dataplane/call/position.ts";
import type { DataPlane } from "../dataplane/data-plane.ts";
import { encodeOpenHandlers } from "./calls-in-process.ts";
import type { Commit, Cutter } from "./cutter.ts";
import { CaptureError } from "./errors.ts";
import type { CaptureLimits } from "./limits.ts";
import { membersOf } from "./number-set.ts";
import type { OpenCapture, ParticipantSession } from "./participant-session.ts";
import type { ReceiptBook } from "./receipts.ts";
import { createSpool, type Spool } from "./spool.ts";
import { callsOf, letGo, takeOutboxes } from "./standstill.ts";

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
    const { plane, session, limits, now } = this.#options;
    const { gate } = plane;
    const startedMs = now();
    gate.toApplication = "closed";
    gate.fromApplication = "frozen";
    try {
      const { captureTimeoutMs, stateBytesMax } = limits;
      const capture = await session.capture(ref, captureTimeoutMs, stateBytesMax, signal);
      const { point } = capture;
      const reasons = await this.#settle(point, signal);
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

  /** Places every call at the point, and waits for what stands before it. Returns what keeps the cut from being exact. */
  async #settle(point: CapturePoint, signal: AbortSignal): Promise<Reason[]> {
    const { plane, limits } = this.#options;
    const { gate, calls } = plane;
    const outgoing = new Map(point.outgoingOpen.map((position) => [position.callId, sentSoFar(position)]));
    const unnamed = calls.unnamedCalls;
    placeIncoming(plane, point);
    this.#placeOutgoing(point, outgoing);
    calls.rememberCut(point.epoch, outgoing);

    const unsettled = new Set<CallEnd>();
    const unseen = new Set<number>();
    for (const id of outgoing.keys()) {
      const known = calls.outgoing(id) !== undefined || calls.environmentIds.has(id) || calls.answeredByAgent.has(id);
      if (!known) unseen.add(id);
    }
    gate.fromApplication = "settling";
    const targeted = [...callsOf(plane)].filter((call) => call.cutTarget !== undefined);
    for (const call of targeted) {
      call.pumpToLink();
      call.readForCut();
      if (!call.hasSettled) unsettled.add(call);
    }
    const neverSent = new Set<number>();
    const allSettled = () => {
      for (const call of unsettled) if (call.hasSettled) unsettled.delete(call);
      for (const id of unseen) {
        const call = calls.outgoing(id);
        const known = call !== undefined || calls.environmentIds.has(id) || calls.answeredByAgent.has(id);
        if (known || this.#options.receipts.hasEnded(id)) unseen.delete(id);
        if (!known && !unseen.has(id)) neverSent.add(id);
        if (call !== undefined && !call.hasSettled) unsettled.add(call);
      }
      return unsettled.size === 0 && unseen.size === 0;
    };
    const outcome = await crossingsUntil(plane, allSettled, limits.settleTimeoutMs, signal);

    const inexact = new Map<string, string>();
    if (outcome === "timeout" && unsettled.size > 0) {
      inexact.set(
        "SettleTimedOut",
        `messages of ${unsettled.size} calls did not come out of the application in ${limits.settleTimeoutMs} ms`,
      );
    }
    if (unseen.size + neverSent.size > 0) {
      const ids = [...unseen, ...neverSent];
      inexact.set(
        "OutgoingCallNeverSeen",
        `${ids.length} calls that the application had made never came to its agent, the first with id ${ids[0]}`,
      );
      calls.dropIfLate(neverSent);
    }
    if (unnamed + calls.unnamedCalls > 0) {
      inexact.set(
        "UnwrappedCall",
        `${unnamed + calls.unnamedCalls} calls came from a client that participant.client() has not wrapped`,
      );
    }
    const unnamedHandlers = [...callsOf(plane)].filter(
      (call) => call.role === "callee" && call.isHanded && call.applicationId === undefined,
    );
    if (unnamedHandlers.length > 0) {
      inexact.set(
        "HandlerWithoutName",
        `${unnamedHandlers.length} calls were handed over before the application was greeted, and are not in its list`,
      );
    }
    const answered = [...outgoing.keys()].filter((id) => calls.answeredByAgent.has(id)).length;
    if (answered > 0) {
      inexact.set(
        "AnswerOfAgentInFlight",
        `the agent had ended ${answered} calls in a peer's place, and the application did not know yet`,
      );
    }
    const cutShort = [...callsOf(plane)].filter((call) => call.hasLostSome);
    if (cutShort.length > 0) {
      inexact.set(
        "CallResetDuringCapture",
        `${cutShort.length} calls were reset before what they had sent came out of the application`,
      );
    }
    return [...inexact].map(([code, message]) => ({ code, message, processId: this.#options.processId }));
  }

  #placeOutgoing(point: CapturePoint, outgoing: ReadonlyMap<number, Position>): void {
    const { plane } = this.#options;
    const received = new Map(point.outgoingOpen.map((position) => [position.callId, receivedSoFar(position)]));
    for (const call of [...callsOf(plane)]) {
      if (call.role !== "caller") continue;
      const { applicationId: id } = call;
      const target = id === undefined ? undefined : outgoing.get(id);
      // A call without an id is flagged; the best guess is that what came out of the application stands before the cut.
      if (id === undefined) call.cutTarget = { ...call.outbound.read };
      else if (target !== undefined) {
        call.received(received.get(id) ?? nothingYet);
        call.cutTarget = target;
      } else if (call.epoch <= point.epoch) call.abandon();
      else call.cutTarget = nothingYet;
    }
  }

  async #collect(capture: OpenCapture): Promise<Spool> {
    const { stateMemoryBytesMax, stateBytesMax } = this.#options.limits;
    const spool = createSpool({ memoryBytesMax: stateMemoryBytesMax, bytesMax: stateBytesMax });
    try {
      for await (const chunk of capture.chunks()) await spool.write(chunk);
      await spool.end();
      return spool;
    } catch (error) {
      await spool.discard();
      throw error;
    }
  }
}

function placeIncoming(plane: DataPlane, point: CapturePoint): void {
  const begun = membersOf(point.incomingBegun);
  const open = new Map(point.incomingOpen.map((position) => [position.callId, position]));
  for (const call of [...plane.calls.allIncoming()]) {
    const { applicationId: id } = call;
    if (id === undefined || !call.isHanded || !begun(id)) {
      call.cutTarget = nothingYet;
      continue;
    }
    const position = open.get(id);
    if (position === undefined) {
      call.cutTarget = everything;
      call.endedAtApplication();
    } else {
      call.cutTarget = sentSoFar(position);
      call.received(receivedSoFar(position));
    }
  }
}

function sentSoFar({ headersSent, messagesSent, endSent }: CallPosition): Position {
  return { headers: headersSent, messages: messagesSent, end: endSent };
}

function receivedSoFar({ headersReceived, messagesReceived, endReceived }: CallPosition): Position {
  return { headers: headersReceived, messages: messagesReceived, end: endReceived };
}

/** Looks again whenever something has crossed, once per turn of the event loop. */
function crossingsUntil(
  plane: DataPlane,
  done: () => boolean,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<"done" | "timeout"> {
  const { gate } = plane;
  return new Promise((resolve, reject) => {
    let looking: NodeJS.Immediate | undefined;
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      clearImmediate(looking);
      signal.removeEventListener("abort", aborted);
      gate.onCrossing = undefined;
      settle();
    };
    const look = () => {
      looking = undefined;
      if (done()) finish(() => resolve("done"));
    };
    const aborted = () => finish(() => reject(new CaptureError("CaptureAborted", "the capture was given up")));
    const timer = setTimeout(() => finish(() => resolve(done() ? "done" : "timeout")), timeoutMs);
    signal.addEventListener("abort", aborted, { once: true });
    gate.onCrossing = () => {
      looking ??= setImmediate(look);
    };
    if (signal.aborted) aborted();
    else look();
  });
}
