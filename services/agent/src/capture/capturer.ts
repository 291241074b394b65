import { type CutTrigger, type SnapshotRef, snapshotKey } from "@cutline/protocol";
import { CutlineError, describeError, type Logger } from "@cutline/runtime";
import type { Driver } from "../driver.ts";
import type { Cutter } from "./cutter.ts";
import { CaptureError } from "./errors.ts";
import type { CaptureResult } from "./result.ts";

export interface CapturerOptions {
  readonly cutter: Cutter;
  readonly driver: () => Driver;
  /** Captures that wait for their turn. */
  readonly waitingMax: number;
  /** After each cut, whatever came of it. */
  onTrafficFlows(): void;
  readonly logger: Logger;
}

interface Request {
  readonly ref: SnapshotRef;
  readonly trigger: CutTrigger;
  readonly abort: AbortController;
}

/** Makes the captures that the protocol asks for, one after the other. */
export class Capturer {
  readonly #options: CapturerOptions;
  readonly #requests = new Map<string, Request>();
  readonly #results = new Map<string, CaptureResult>();
  #phase: "idle" | "working" = "idle";

  constructor(options: CapturerOptions) {
    this.#options = options;
  }

  /** Answers with `driver.captured` or `driver.captureFailed`, later. */
  request(ref: SnapshotRef, trigger: CutTrigger): void {
    const { waitingMax, logger, driver } = this.#options;
    if (this.#requests.size >= waitingMax) {
      queueMicrotask(() =>
        driver().captureFailed(ref, "CaptureQueueFull", `${waitingMax} captures are waiting already`),
      );
      return;
    }
    this.#requests.set(snapshotKey(ref), { ref, trigger, abort: new AbortController() });
    logger.debug({ ...ref, trigger }, "capture asked for");
    if (this.#phase === "working") return;
    this.#phase = "working";
    void this.#work();
  }

  /** Nobody wants this one any more. */
  forget(ref: SnapshotRef): void {
    const key = snapshotKey(ref);
    this.#requests.get(key)?.abort.abort();
    this.#requests.delete(key);
  }

  /** What the capture found that the protocol is just cutting with. */
  takeResult(ref: SnapshotRef): CaptureResult {
    const key = snapshotKey(ref);
    const result = this.#results.get(key);
    if (result === undefined) throw new RangeError(`no capture was made for ${key}`);
    this.#results.delete(key);
    return result;
  }

  async #work(): Promise<void> {
    // A request can come from inside a step of the protocol; the capture begins after it.
    await Promise.resolve();
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      await this.#capture(next);
      this.#requests.delete(snapshotKey(next.ref));
    }
    this.#phase = "idle";
  }

  #next(): Request | undefined {
    return this.#requests.values().next().value;
  }

  async #capture({ ref, trigger, abort }: Request): Promise<void> {
    const { cutter, driver, onTrafficFlows, logger } = this.#options;
    try {
      await cutter.cut(ref, (result) => this.#commit(ref, result), abort.signal);
    } catch (error) {
      if (abort.signal.aborted) return;
      const code = error instanceof CutlineError ? error.code : "CaptureFailed";
      const message = describeError(error);
      logger.warn({ ...ref, trigger, code, reason: message }, "capture failed");
      driver().captureFailed(ref, code, message);
    } finally {
      this.#letFlow(onTrafficFlows);
    }
  }

  /** A defect here must not end the agent, which carries its application's traffic. */
  #letFlow(onTrafficFlows: () => void): void {
    try {
      onTrafficFlows();
    } catch (error) {
      this.#options.logger.error({ error }, "what came in during a cut could not be dealt with");
    }
  }

  #commit(ref: SnapshotRef, result: CaptureResult): void {
    const { driver } = this.#options;
    // Whoever takes the result looks at the promise; when nobody does, a state that did not come is of no interest.
    result.state.bytes.catch(() => undefined);
    const key = snapshotKey(ref);
    try {
      this.#results.set(key, result);
      if (!driver().isRunning(ref)) throw new CaptureError("CaptureAborted", "the snapshot ended before its cut");
      driver().captured(ref);
    } finally {
      if (this.#results.delete(key)) {
        result.state.bytes.then(
          (spool) => spool.discard(),
          () => undefined,
        );
      }
    }
  }
}
