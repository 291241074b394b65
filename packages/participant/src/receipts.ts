import type { CallReceipt, ReceiptsRequest, ReceiptsResponse } from "@cutline/proto/participant";
import type { ServerWritableStream } from "@grpc/grpc-js";
import type { Call, Calls, ReceiptWatcher } from "./calls.ts";
import { EndedIds } from "./ended-ids.ts";
import { ParticipantError, statusFor } from "./errors.ts";
import { receiptEntriesMax, receiptEventsMax, receiptStreamsMax } from "./limits.ts";

type ReceiptsCall = ServerWritableStream<ReceiptsRequest, ReceiptsResponse>;

/** Answers `Receipts`. */
export class Receipts {
  readonly #calls: Calls;
  readonly #intervalMs: number;
  readonly #open = new Set<() => void>();
  #closing = false;

  constructor(calls: Calls, intervalMs: number) {
    this.#calls = calls;
    this.#intervalMs = intervalMs;
  }

  serve(call: ReceiptsCall): void {
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      call.emit("error", Object.assign(new Error(refusal.message), statusFor(refusal)));
      return;
    }
    const reporter = new Reporter(this.#calls, call);
    const stopWatching = this.#calls.watch(reporter);
    const timer = setInterval(() => reporter.report(), this.#intervalMs);
    timer.unref();
    const end = () => {
      if (!this.#open.delete(end)) return;
      clearInterval(timer);
      stopWatching();
      call.end();
    };
    this.#open.add(end);
    call.once("cancelled", end);
    reporter.report();
  }

  /** The server is shutting down, and would wait for the streams, which have no end of their own. */
  close(): void {
    this.#closing = true;
    for (const end of [...this.#open]) end();
  }

  #refusal(): ParticipantError | undefined {
    if (this.#closing) return new ParticipantError("ShuttingDown", "the application is shutting down");
    if (this.#open.size < receiptStreamsMax) return undefined;
    return new ParticipantError("ReceiptStreamsFull", `${receiptStreamsMax} Receipts streams are open already`);
  }
}

/**
 * One `Receipts` stream. At most one report is on its way; what happens meanwhile joins the next one. The first reports
 * tell of everything that ended before the stream began.
 */
class Reporter implements ReceiptWatcher {
  readonly #calls: Calls;
  readonly #call: ReceiptsCall;
  readonly #ended: EndedIds;
  readonly #reported = new WeakMap<Call, number>();
  #events = 0;
  #state: "idle" | "due" | "sending" = "idle";

  constructor(calls: Calls, call: ReceiptsCall) {
    this.#calls = calls;
    this.#call = call;
    const { last, open } = calls.outgoingSoFar();
    this.#ended = EndedIds.allBut(last, open);
  }

  outgoingEnded(id: number): void {
    this.#ended.add(id);
    this.#happened();
  }

  messageReceived(): void {
    this.#happened();
  }

  report(): void {
    if (this.#state === "sending") return;
    this.#events = 0;
    const calls = this.#changedStreams();
    const outgoingEnded = this.#ended.take(receiptEntriesMax);
    this.#state = "idle";
    if (calls.length === 0 && outgoingEnded === undefined) return;
    this.#state = "sending";
    this.#call.write({ calls, outgoingEnded }, () => {
      this.#state = "idle";
      if (calls.length === receiptEntriesMax || !this.#ended.empty || this.#events >= receiptEventsMax) this.report();
    });
  }

  /** A message counts when it is handed over, and that may be a little after it arrived: so not at once. */
  #happened(): void {
    this.#events += 1;
    if (this.#events < receiptEventsMax || this.#state !== "idle") return;
    this.#state = "due";
    setImmediate(() => this.report());
  }

  #changedStreams(): CallReceipt[] {
    const changed: CallReceipt[] = [];
    for (const { call, receipt } of this.#calls.streams()) {
      if (receipt.messagesReceived <= (this.#reported.get(call) ?? 0)) continue;
      this.#reported.set(call, receipt.messagesReceived);
      changed.push(receipt);
      if (changed.length === receiptEntriesMax) break;
    }
    return changed;
  }
}
