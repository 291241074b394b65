import { setTimeout as delay } from "node:timers/promises";
import { describeError } from "@cutline/runtime";
import { CaptureError } from "./errors.ts";

/**
 * What an aborted signal means for a capture: the signal's own reason where that is a `CaptureError`, `CaptureTimedOut`
 * for `AbortSignal.timeout()`, else `CaptureAborted`. `what` names the work that was cut short ("reading ...").
 */
export function abortError(signal: AbortSignal, what: string): CaptureError {
  const reason: unknown = signal.reason;
  if (reason instanceof CaptureError) return reason;
  if (reason instanceof DOMException && reason.name === "TimeoutError") {
    return new CaptureError("CaptureTimedOut", `${what} took too long and was given up`, { cause: reason });
  }
  return new CaptureError("CaptureAborted", `${what} was called off: ${describeError(reason)}`, { cause: reason });
}

/**
 * Settles as `work` does, or rejects with `abortError` as soon as the signal is aborted, even where `work` hangs in an
 * operation that cannot be cancelled (a file system that does not answer). `work` must look at the signal itself to
 * stop; how it ends after that has no reader any more.
 */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(abortError(signal, what));
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Rejects with `abortError` when the signal is aborted before the time is over. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch((error) => {
    throw signal.aborted ? abortError(signal, "the capture") : error;
  });
}
