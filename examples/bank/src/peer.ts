import { setTimeout as sleep } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import type { BranchClient, GreetReply } from "./contract.ts";

const ANSWER_DEADLINE_MS = 120_000;
const GREET_DEADLINE_MS = 2_000;
const GREET_AGAIN_MS = 200;

/** Far away: a payment that fails cannot be taken back, so it is given all the time it may need. */
export function answerDeadline(): grpc.CallOptions {
  return { deadline: Date.now() + ANSWER_DEADLINE_MS };
}

/** Another branch. Nobody sends it money before it has answered a greeting. */
export class Peer {
  readonly name: string;
  readonly client: BranchClient;
  #from: string;
  #stopped: AbortSignal;
  #answered: GreetReply | undefined;

  constructor(name: string, client: BranchClient, from: string, stopped: AbortSignal) {
    this.name = name;
    this.client = client;
    this.#from = from;
    this.#stopped = stopped;
  }

  /** What it said it takes; undefined while it is away. */
  get takes(): GreetReply | undefined {
    return this.#answered;
  }

  /** Greets until it answers or `giveUp` says so. A peer that is not up yet is no failure. */
  async greet(giveUp: AbortSignal = this.#stopped): Promise<void> {
    while (this.#answered === undefined && !giveUp.aborted && !this.#stopped.aborted) {
      this.#answered = await this.#greetOnce();
      if (this.#answered === undefined) await sleep(GREET_AGAIN_MS);
    }
  }

  /** A call to it failed: it gets no more money until it answers a greeting again. */
  lose(): void {
    if (this.#answered === undefined) return;
    this.#answered = undefined;
    void this.greet();
  }

  #greetOnce(): Promise<GreetReply | undefined> {
    return new Promise((resolve) => {
      const patient = new grpc.Metadata({ waitForReady: true });
      const options = { deadline: Date.now() + GREET_DEADLINE_MS };
      this.client.greet({ from: this.#from }, patient, options, (_error, reply) => resolve(reply));
    });
  }
}
