import { type LeaseEffect, type LeaseInput, type LeaseState, type LeaseSuccession, stepLease } from "@cutline/protocol";
import type { Logger } from "@cutline/runtime";
import { type Store, StoreError } from "../store/port.ts";

export interface LeadershipOptions {
  readonly lease: LeaseState;
  readonly store: Pick<Store, "acquireLease" | "renewLease" | "releaseLease">;
  /** Unique among all programs that run, a restarted one included. */
  readonly holder: string;
  readonly nowMs: () => number;
  readonly logger: Logger;
  /** Runs to its end before this replica leads. */
  readonly onGained: (term: number, succession: LeaseSuccession) => Promise<void>;
  readonly onLost: () => void;
}

/** An input without its time. */
type Untimed = LeaseInput extends infer I ? (I extends LeaseInput ? Omit<I, "nowMs"> : never) : never;

/** Performs what the machine of the lease asks for: takes the lease, keeps it, and takes it again after a loss. */
export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #firstTurn = Promise.withResolvers<void>();
  readonly #stopped = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;
  #releasing: Promise<void> = Promise.resolve();

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  /** Resolves after the first try. */
  async start(): Promise<void> {
    this.#apply({ type: "turn" });
    await this.#firstTurn.promise;
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#apply({ type: "stop" });
    await this.#stopped.promise;
  }

  #apply(input: Untimed): void {
    const { lease, nowMs } = this.#options;
    for (const effect of stepLease(lease, { ...input, nowMs: nowMs() } as LeaseInput)) this.#perform(effect);
  }

  #perform(effect: LeaseEffect): void {
    const { store, holder, lease, logger } = this.#options;
    switch (effect.type) {
      case "acquire":
        this.#ask(async () => {
          const answer = await store.acquireLease(holder, lease.leaseMs);
          if (answer.outcome === "acquired") {
            return { type: "acquired", term: answer.term, succession: answer.succession };
          }
          logger.debug({ holder: answer.holder, expiresInMs: answer.expiresInMs }, "another replica leads");
          return { type: "held" };
        });
        return;
      case "renew":
        this.#ask(async () => ({ type: await store.renewLease(effect.term, lease.leaseMs) }));
        return;
      case "takeOver":
        this.#options.onGained(effect.term, effect.succession).then(
          () => this.#apply({ type: "takenOver" }),
          (error: unknown) => {
            logger.warn({ term: effect.term, error }, "take-over failed; it is tried again");
            this.#apply({ type: "takeOverFailed" });
          },
        );
        return;
      case "lead":
        logger.info({ term: effect.term, succession: effect.succession }, "leading");
        return;
      case "lose":
        logger.warn({ term: effect.term, reason: effect.reason }, "not leading any more");
        this.#options.onLost();
        return;
      case "wait":
        this.#firstTurn.resolve();
        this.#timer = setTimeout(() => this.#apply({ type: "turn" }), effect.delayMs);
        return;
      case "release":
        this.#releasing = this.#release(effect.term);
        return;
      case "stopped":
        this.#firstTurn.resolve();
        this.#stopped.resolve(this.#releasing);
    }
  }

  #ask(operation: () => Promise<Untimed>): void {
    operation().then(
      (answer) => this.#apply(answer),
      (error: unknown) => {
        this.#options.logger.warn({ term: this.#options.lease.term, error }, "lease not renewed");
        this.#apply({ type: "unknown" });
      },
    );
  }

  async #release(term: number): Promise<void> {
    try {
      await this.#options.store.releaseLease(term);
    } catch (error) {
      // The lease ends by itself; the next leader waits a little longer.
      this.#options.logger.warn({ term, error }, "lease not released");
    }
  }
}

/** What was to be done needs the lead, and this replica does not have it, or has it no more. */
export function fenced(): StoreError {
  return new StoreError("StoreFenced", "this coordinator does not lead; ask again, or ask another replica");
}
