import { status as Status } from "@grpc/grpc-js";
import type { Calls, IncomingCall } from "./calls.ts";
import type { Section } from "./section.ts";
import { isThenable } from "./thenable.ts";

/** How a call ends that the application itself does not answer. */
export interface Refusal {
  readonly code: Status;
  readonly details: string;
}

/** What grpc-js answers for a handler that throws. */
const handlerThrew: Refusal = { code: Status.UNKNOWN, details: "Unknown error" };

const wasSettled: Refusal = { code: Status.CANCELLED, details: "The call was reset before its handler began" };

/** The life of one served call: it waits for the lock, its handler begins, and at some time it has ended. */
export class ServedCall {
  readonly #calls: Calls;
  readonly #incoming: IncomingCall;
  readonly #section: Section<IncomingCall>;
  #phase: "waiting" | "begun" | "ended" = "waiting";
  #cancelled = false;
  #running = false;

  constructor(calls: Calls, incoming: IncomingCall, section: Section<IncomingCall>) {
    this.#calls = calls;
    this.#incoming = incoming;
    this.#section = section;
  }

  /**
   * Runs the handler in the call's section: now, as if nothing stood between, or after the capture that is pending.
   * `refuse` answers for a call that was settled, and for a handler that throws when grpc-js is no longer there to
   * catch it.
   */
  begin(handler: () => unknown, refuse: (refusal: Refusal) => void): void {
    let when: "now" | "later" = "now";
    this.#section.enter(() => {
      if (this.#cancelled) {
        this.#calls.skipIncoming(this.#incoming);
        this.#neverBegins();
        return;
      }
      if (this.#calls.beginIncoming(this.#incoming) === "settled") {
        this.#neverBegins();
        refuse(wasSettled);
        return;
      }
      this.#phase = "begun";
      try {
        this.#follow(handler());
      } catch (error) {
        this.answered();
        if (when === "now") throw error;
        refuse(handlerThrew);
      }
    });
    when = "later";
  }

  /** The application has sent its status. */
  answered(): void {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.#calls.endIncoming(this.#incoming);
    this.#section.end();
  }

  /** By the client or by its deadline. */
  cancelled(): void {
    this.#cancelled = true;
    this.#endCancelled();
  }

  /** A loop over the requests was given the end or an error, or broke off. */
  loopOver(): void {
    if (this.#cancelled) this.#endCancelled();
  }

  /** Not while a loop is still to be told. A handler that is known to be running keeps its section until it is done. */
  #endCancelled(): void {
    if (this.#phase !== "begun" || this.#incoming.inbound.looped) return;
    if (this.#running) this.#calls.endIncoming(this.#incoming);
    else this.answered();
  }

  #neverBegins(): void {
    this.#phase = "ended";
    this.#section.end();
  }

  #follow(result: unknown): void {
    if (!isThenable(result)) return;
    this.#running = true;
    const done = (): void => {
      this.#running = false;
      if (this.#cancelled) this.#endCancelled();
    };
    // Rejects again, so that what the application does not handle stays unhandled.
    Promise.resolve(result).then(done, (error: unknown) => {
      done();
      throw error;
    });
  }
}
