import { type LeaseEffect, type LeaseInput, type LeaseState, type LeaseSuccession, stepLease } from "@cutline/protocol";
import type { Host } from "./host.ts";
import type { LeaseOutcome, Store } from "./store.ts";

export interface LeadershipEvents {
  /** Ends with `done`; only then this replica leads. */
  onGained(term: number, succession: LeaseSuccession, done: (outcome: "takenOver" | "takeOverFailed") => void): void;
  onLost(): void;
}

/** An input without its time. */
type Untimed = LeaseInput extends infer I ? (I extends LeaseInput ? Omit<I, "nowMs"> : never) : never;

/** Performs what the machine of the lease asks for, on the simulated store. */
export class Leadership {
  readonly #lease: LeaseState;
  readonly #host: Host;
  readonly #store: Store;
  readonly #events: LeadershipEvents;

  constructor(lease: LeaseState, host: Host, store: Store, events: LeadershipEvents) {
    this.#lease = lease;
    this.#host = host;
    this.#store = store;
    this.#events = events;
  }

  start(): void {
    this.#apply({ type: "turn" });
  }

  #apply(input: Untimed): void {
    const effects = stepLease(this.#lease, { ...input, nowMs: this.#host.nowMs } as LeaseInput);
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: LeaseEffect): void {
    const { leaseMs } = this.#lease;
    switch (effect.type) {
      case "acquire": {
        const answer = this.#host.answer((lease: LeaseOutcome | "unknown") => {
          if (lease === "unknown") this.#apply({ type: "unknown" });
          else if (lease.outcome === "held") this.#apply({ type: "held" });
          else this.#apply({ type: "acquired", term: lease.term, succession: lease.succession });
        });
        this.#store.acquireLease(this.#host.name, leaseMs, answer);
        return;
      }
      case "renew": {
        const answer = this.#host.answer((type: "renewed" | "lost" | "unknown") => this.#apply({ type }));
        this.#store.renewLease(effect.term, leaseMs, answer);
        return;
      }
      case "takeOver":
        this.#events.onGained(effect.term, effect.succession, (type) => this.#apply({ type }));
        return;
      case "lose":
        this.#events.onLost();
        return;
      case "wait":
        this.#host.after(effect.delayMs, () => this.#apply({ type: "turn" }));
        return;
      default:
        // Nobody stops a simulated coordinator: it is killed.
        return;
    }
  }
}
