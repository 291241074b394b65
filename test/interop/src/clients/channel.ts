import type { CallScript, ClientScript, SeenCall } from "../script.ts";

/** A call that a client program makes. */
export interface ClientCall {
  send(bytes: Uint8Array, compression: "gzip" | "none"): void;
  /** Resolves with one more message, or at the end. */
  receive(): Promise<void>;
  halfClose(): void;
  cancel(): void;
  /** Never rejects: a failure is a status. */
  end(): Promise<SeenCall>;
}

export interface Channel {
  open(call: CallScript): ClientCall;
  close(): void;
}

export type OpenChannel = (script: ClientScript) => Promise<Channel>;

/** Lets somebody wait for the next of several things that are counted. */
export class Counter {
  #seen = 0;
  #waited = 0;
  #closed = false;
  #wake: (() => void) | undefined;

  count(): void {
    this.#seen += 1;
    this.#wake?.();
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** One waits at a time. */
  async next(): Promise<void> {
    this.#waited += 1;
    while (this.#seen < this.#waited && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
