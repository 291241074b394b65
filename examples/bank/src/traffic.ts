import { setTimeout as sleep } from "node:timers/promises";
import type { Peer } from "./peer.ts";
import type { Sender, Sent } from "./sending.ts";
import { SettlementStream } from "./settlement-stream.ts";

/** How long a sender rests that had nothing to send, no peer, or a failure. */
const REST_MS = 20;

/** `waiting`: for its peers to come up. */
export type TrafficStanding = "waiting" | "running" | "paused" | "stopped";

export interface Pace {
  /** Unanswered calls of each kind, at most. */
  concurrency: number;
  /** Mean pause after each send. */
  pauseMs: number;
}

/** The loops that send money: a new call as soon as one is answered, for as long as the traffic runs. */
export class Traffic {
  readonly #sender: Sender;
  readonly #pace: Pace;
  #standing: TrafficStanding = "waiting";
  #changed = Promise.withResolvers<void>();
  #loops: Promise<void>[] = [];
  /** Calls of this branch without their answer, streams included. 0 everywhere means that no money is on its way. */
  callsOpen = 0;

  constructor(sender: Sender, pace: Pace) {
    this.#sender = sender;
    this.#pace = pace;
  }

  get standing(): TrafficStanding {
    return this.#standing;
  }

  start(kinds: "transfers" | "everything", peers: Iterable<Peer>): void {
    if (this.#standing === "waiting") this.#become("running");
    for (let worker = 0; worker < this.#pace.concurrency; worker += 1) {
      this.#loops.push(this.#loop(() => this.#sender.transfer()));
      if (kinds === "everything") this.#loops.push(this.#loop(() => this.#sender.route()));
    }
    if (kinds === "transfers") return;
    for (const peer of peers) this.#loops.push(this.#loop(() => this.#settle(peer)));
  }

  pause(): void {
    if (this.#standing !== "stopped") this.#become("paused");
  }

  resume(): void {
    if (this.#standing === "paused") this.#become("running");
  }

  /** Sends nothing more; resolves when everything sent has been answered. */
  async stop(): Promise<void> {
    this.#become("stopped");
    await Promise.all(this.#loops);
  }

  #become(standing: TrafficStanding): void {
    this.#standing = standing;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  async #loop(send: () => Promise<Sent>): Promise<void> {
    while (this.#standing !== "stopped") {
      if (this.#standing === "paused") {
        await this.#changed.promise;
        continue;
      }
      this.callsOpen += 1;
      const sent = await send();
      this.callsOpen -= 1;
      if (sent === "answered") await this.#pause();
      else await sleep(REST_MS);
    }
  }

  async #settle(peer: Peer): Promise<Sent> {
    if (!peer.takes?.takesSettlements || this.#sender.ledger.balanceCents === 0) return "nothing";
    const mayGoOn = () => this.#standing === "running";
    return new SettlementStream(this.#sender, peer).send(this.#pace.concurrency, mayGoOn, () => this.#pause());
  }

  async #pause(): Promise<void> {
    const { pauseMs } = this.#pace;
    if (pauseMs > 0) await sleep(this.#sender.random.below(2 * pauseMs + 1));
  }
}
