import type { ReceiptsResponse } from "@cutline/proto/participant";
import type { Gate } from "../dataplane/call/gate.ts";
import type { Calls } from "../dataplane/calls.ts";
import { membersOf, numbersOf } from "./number-set.ts";

/** Reports kept while a cut is made before the stream of reports is paused. */
const waitingMax = 64;
/** A longer range of ids is not gone through one by one; nor could more be remembered. */
const listedMax = 4_096;

/**
 * Applies what the application says it has received. While a cut is made nothing is applied: a report does not say on
 * which side of the cut it stands.
 */
export class ReceiptBook {
  readonly #calls: Calls;
  readonly #gate: Gate;
  #waiting: ReceiptsResponse[] = [];

  constructor(calls: Calls, gate: Gate) {
    this.#calls = calls;
    this.#gate = gate;
  }

  take(receipts: ReceiptsResponse): "next" | "later" {
    if (this.#gate.fromApplication === "open") {
      this.#apply(receipts);
      return "next";
    }
    this.#waiting.push(receipts);
    this.#gate.noteCrossing();
    return this.#waiting.length < waitingMax ? "next" : "later";
  }

  /** While a cut is made: whether the application has ended this call by now. */
  hasEnded(outgoingId: number): boolean {
    return this.#waiting.some(({ outgoingEnded }) => membersOf(outgoingEnded)(outgoingId));
  }

  /** The cut is over. */
  applyWaiting(): void {
    for (const receipts of this.#waiting.splice(0)) this.#apply(receipts);
  }

  #apply({ calls, outgoingEnded }: ReceiptsResponse): void {
    for (const { callId, outgoing, messagesReceived } of calls) {
      const call = outgoing ? this.#calls.outgoing(callId) : this.#calls.incoming(callId);
      call?.received({ headers: true, messages: messagesReceived, end: false });
    }
    if (outgoingEnded === undefined) return;
    if (outgoingEnded.through - outgoingEnded.first < listedMax) {
      for (const id of numbersOf(outgoingEnded)) this.#calls.outgoingEnded(id);
      return;
    }
    // The first report of an application that has run for long: only what is known here is looked at.
    const ended = membersOf(outgoingEnded);
    for (const id of this.#calls.openOutgoingIds()) if (ended(id)) this.#calls.outgoingEnded(id);
  }
}
