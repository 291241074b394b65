import { createHash } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { CapturePoint, CaptureRequest, CaptureResponse } from "@cutline/proto/participant";
import type { ServerWritableStream } from "@grpc/grpc-js";
import type { Calls, IncomingCall } from "./calls.ts";
import { messageOf, ParticipantError, statusFor } from "./errors.ts";
import {
  captureDeadlineMsDefault,
  captureDeadlineMsMax,
  capturesMax,
  holdersNamedMax,
  pointAheadMs,
  stateBytesMaxDefault,
} from "./limits.ts";
import type { Section, Sections } from "./section.ts";
import { pieces, type RecordedState, recordState } from "./state-source.ts";

type CaptureCall = ServerWritableStream<CaptureRequest, CaptureResponse>;

export interface CapturesOf {
  readonly calls: Calls;
  readonly sections: Sections<IncomingCall>;
  readonly state: () => unknown;
  readonly contentType: string | undefined;
}

interface Captured {
  readonly point: CapturePoint;
  readonly state: RecordedState;
}

/** Answers `Capture`. Instants follow one another; states of earlier ones may still be on their way meanwhile. */
export class Captures {
  readonly #of: CapturesOf;
  #open = 0;

  constructor(of: CapturesOf) {
    this.#of = of;
  }

  async serve(call: CaptureCall): Promise<void> {
    if (this.#open >= capturesMax) {
      fail(call, new ParticipantError("CaptureQueueFull", `${capturesMax} captures are open already; ask again later`));
      return;
    }
    this.#open += 1;
    const gone = new AbortController();
    call.once("cancelled", () => gone.abort());
    try {
      const captured = await this.#instant(call.request, gone.signal);
      await send(call, captured, bytesMaxOf(call.request), gone.signal);
      call.end();
    } catch (error) {
      // Nobody is left to be told.
      if (!gone.signal.aborted) fail(call, error);
    } finally {
      this.#open -= 1;
    }
  }

  /** Waits for the lock, at most until the deadline, and records everything in one synchronous run. */
  #instant(request: CaptureRequest, gone: AbortSignal): Promise<Captured> {
    const { calls, sections, state, contentType } = this.#of;
    const asked = performance.now();
    const deadlineMs = Math.min(request.deadlineMs || captureDeadlineMsDefault, captureDeadlineMsMax);
    return new Promise((resolve, reject) => {
      const withdraw = sections.lock.capture(() => {
        settle();
        const began = performance.now();
        try {
          const recorded = recordState(state);
          const bytesMax = bytesMaxOf(request);
          const sizeBytes = recorded.sizeOver(bytesMax);
          if (sizeBytes !== undefined) checkSize(sizeBytes, bytesMax);
          const positions = calls.positions();
          calls.beginEpoch();
          const point: CapturePoint = {
            ...positions,
            contentType: contentType ?? recorded.contentType,
            lockWaitUs: Math.round((began - asked) * 1_000),
            captureUs: Math.round((performance.now() - began) * 1_000),
          };
          resolve({ point, state: recorded });
        } catch (error) {
          reject(error);
        }
      });
      const giveUp = (error: () => unknown): void => {
        settle();
        const cause = error();
        withdraw();
        reject(cause);
      };
      const onGone = (): void => giveUp(() => gone.reason);
      const timer = setTimeout(() => giveUp(() => missedDeadline(sections.lock.holders(), deadlineMs)), deadlineMs);
      const settle = (): void => {
        clearTimeout(timer);
        gone.removeEventListener("abort", onGone);
      };
      gone.addEventListener("abort", onGone);
      if (gone.aborted) onGone();
    });
  }
}

async function send(call: CaptureCall, captured: Captured, bytesMax: number, gone: AbortSignal): Promise<void> {
  const write = async (body: NonNullable<CaptureResponse["body"]>): Promise<void> => {
    if (!call.write({ body })) await once(call, "drain", { signal: gone });
  };
  // Traffic is held until the agent has the point, which may have to wait for this processor. It gets ahead of the work
  // on the state's bytes.
  await sent(call, { body: { $case: "point", value: captured.point } }, gone);
  await rested(pointAheadMs, gone);
  const hash = createHash("sha256");
  let sizeBytes = 0;
  try {
    for await (const piece of until(gone, pieces(captured.state))) {
      sizeBytes += piece.byteLength;
      checkSize(sizeBytes, bytesMax);
      hash.update(piece);
      await write({ $case: "stateChunk", value: piece });
    }
  } catch (error) {
    if (error instanceof ParticipantError || gone.aborted) throw error;
    throw new ParticipantError("StateFailed", `the state's iterable threw: ${messageOf(error)}`, { cause: error });
  }
  await write({ $case: "end", value: { sizeBytes, sha256: hash.digest("hex") } });
}

/** Resolves when the message has gone out, or cannot any more. */
function sent(call: CaptureCall, message: CaptureResponse, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      gone.removeEventListener("abort", done);
      resolve();
    };
    gone.addEventListener("abort", done);
    call.write(message, done);
    if (gone.aborted) done();
  });
}

function rested(ms: number, gone: AbortSignal): Promise<void> {
  // Whoever has gone is found out by what comes next.
  return sleep(ms, undefined, { signal: gone }).catch(() => undefined);
}

/** `source` until `gone`, even while the application's iterable does not give the next chunk. */
async function* until<Item>(gone: AbortSignal, source: AsyncGenerator<Item, void, undefined>): AsyncGenerator<Item> {
  const stop = Promise.withResolvers<never>();
  const onGone = (): void => stop.reject(gone.reason);
  gone.addEventListener("abort", onGone);
  try {
    gone.throwIfAborted();
    for (;;) {
      const next = await Promise.race([source.next(), stop.promise]);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    gone.removeEventListener("abort", onGone);
    // Not awaited: it ends when the iterable lets it, and what it throws then concerns no capture any more.
    source.return().then(undefined, () => undefined);
  }
}

function bytesMaxOf({ stateBytesMax }: CaptureRequest): number {
  return stateBytesMax || stateBytesMaxDefault;
}

function checkSize(sizeBytes: number, bytesMax: number): void {
  if (sizeBytes <= bytesMax) return;
  throw new ParticipantError(
    "StateTooLarge",
    `the state has at least ${sizeBytes} bytes, the limit is ${bytesMax}; raise the limit or make the state smaller`,
  );
}

function missedDeadline(holders: Iterable<Section<IncomingCall>>, deadlineMs: number): ParticipantError {
  const running = [...holders].sort((a, b) => b.heldForMs() - a.heldForMs());
  const named = running
    .slice(0, holdersNamedMax)
    .map((each) => `${each.label} (for ${Math.round(each.heldForMs())} ms)`);
  const others = running.length > named.length ? `, and ${running.length - named.length} more` : "";
  return new ParticipantError(
    "CaptureDeadlineExceeded",
    `after ${deadlineMs} ms ${running.length} section(s) still ran: ${named.join(", ")}${others}; make them shorter, or raise the deadline`,
  );
}

function fail(call: CaptureCall, error: unknown): void {
  const status = statusFor(error);
  call.emit("error", Object.assign(new Error(status.details), status));
}
