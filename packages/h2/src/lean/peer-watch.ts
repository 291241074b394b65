import type { Http2Limits } from "../port.ts";

/** Whether a peer that says nothing is still there. Counts in looks, not by a clock: a program that stood still has not waited. */
export class PeerWatch {
  /** Set with every byte that comes. */
  heard = true;
  #quietMs = 0;
  #isAsked = false;

  /** Called every so often. `ask`: by PING, once; its answer is heard as any other byte is. */
  look(everyMs: number, isBusy: boolean, { idleTimeoutMs, pingTimeoutMs }: Http2Limits): "there" | "ask" | "gone" {
    if (this.heard || isBusy) {
      this.heard = false;
      this.#isAsked = false;
      this.#quietMs = 0;
      return "there";
    }
    this.#quietMs += everyMs;
    if (this.#quietMs < idleTimeoutMs) return "there";
    if (this.#isAsked) return this.#quietMs < idleTimeoutMs + pingTimeoutMs ? "there" : "gone";
    this.#isAsked = true;
    return "ask";
  }
}
