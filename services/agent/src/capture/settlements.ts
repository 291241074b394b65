import { describeError, type Logger } from "@cutline/runtime";
import type { CallEnd } from "../dataplane/call/call-end.ts";
import type { Gate } from "../dataplane/call/gate.ts";
import type { ParticipantSession } from "./participant-session.ts";

/** How long resets are gathered before the application is asked about them. */
const gatherMs = 50;
/** Calls asked about at once (docs/reference/capture-contract.md, `Settle`). */
const askedMax = 4_096;
/** After a failure, and for handlers that have begun and go on. */
const againMs = 1_000;

/**
 * Calls that were reset while the application may not have begun them: asks it to make sure that it never does, so
 * that what was handed over need not be kept for ever.
 */
export class Settlements {
  readonly #session: ParticipantSession;
  readonly #gate: Gate;
  readonly #logger: Logger;
  readonly #calls = new Map<number, CallEnd>();
  #settled: CallEnd[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(session: ParticipantSession, gate: Gate, logger: Logger) {
    this.#session = session;
    this.#gate = gate;
    this.#logger = logger;
  }

  add(call: CallEnd): void {
    if (call.applicationId === undefined) return;
    this.#calls.set(call.applicationId, call);
    this.#askIn(gatherMs);
  }

  /** The cut is over. */
  applyWaiting(): void {
    for (const call of this.#settled.splice(0)) call.settled();
  }

  /** The application was started anew: nothing it was handed can begin any more. */
  forgetApplication(): void {
    this.#settled.push(...this.#calls.values());
    this.#calls.clear();
    if (this.#gate.fromApplication === "open") this.applyWaiting();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #askIn(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#ask().catch((error) => {
        this.#logger.debug({ reason: describeError(error) }, "cancelled calls are not settled yet");
        this.#askIn(againMs);
      });
    }, ms).unref();
  }

  async #ask(): Promise<void> {
    const ids = [...this.#calls.keys()].slice(0, askedMax);
    if (ids.length === 0) return;
    const { stillOpen } = await this.#session.settle(ids);
    const open = new Set(stillOpen);
    for (const id of ids) {
      const call = this.#calls.get(id);
      if (call === undefined) continue;
      this.#calls.delete(id);
      // Its handler goes on: it is asked about again after the others.
      if (open.has(id)) this.#calls.set(id, call);
      else this.#settled.push(call);
    }
    // A cut that is being made decides by its own point.
    if (this.#gate.fromApplication === "open") this.applyWaiting();
    if (this.#calls.size > 0)
      this.#askIn(open.size === ids.length || open.size === this.#calls.size ? againMs : gatherMs);
  }
}
