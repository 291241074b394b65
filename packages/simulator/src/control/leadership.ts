import type { Host } from "./host.ts";
import type { Store } from "./store.ts";

export interface LeadershipEvents {
  /** Ends with `done`; only then the term holds. */
  onGained(term: number, done: (outcome: "taken" | "failed") => void): void;
  onLost(): void;
}

/** Takes the lease and keeps it, as services/coordinator/src/driver/leadership.ts. */
export class Leadership {
  readonly #host: Host;
  readonly #store: Store;
  readonly #leaseMs: number;
  readonly #events: LeadershipEvents;
  #term: number | undefined;
  #leading = false;
  #leaseEndMs = 0;

  constructor(host: Host, store: Store, leaseMs: number, events: LeadershipEvents) {
    this.#host = host;
    this.#store = store;
    this.#leaseMs = leaseMs;
    this.#events = events;
  }

  term(): number | undefined {
    return this.#leading && this.#host.nowMs < this.#leaseEndMs ? this.#term : undefined;
  }

  /** Also while the take-over runs. */
  holds(term: number): boolean {
    return this.#term === term && this.#host.nowMs < this.#leaseEndMs;
  }

  run(): void {
    const again = () => {
      this.#host.after(this.#leaseMs / 3, () => this.run());
    };
    if (this.#term !== undefined && this.#host.nowMs >= this.#leaseEndMs) this.#lose();
    const askedAtMs = this.#host.nowMs;
    if (this.#term !== undefined) {
      const term = this.#term;
      const answer = this.#host.answer((outcome: "renewed" | "lost" | "unknown") => {
        if (outcome === "lost") this.#lose();
        else if (outcome === "renewed") this.#leaseEndMs = askedAtMs + this.#leaseMs;
        again();
      });
      this.#store.renewLease(term, this.#leaseMs, answer);
      return;
    }
    const answer = this.#host.answer((lease: Parameters<Parameters<Store["acquireLease"]>[2]>[0]) => {
      if (lease === "unknown" || lease.outcome === "held") {
        again();
        return;
      }
      this.#term = lease.term;
      this.#leaseEndMs = askedAtMs + this.#leaseMs;
      this.#events.onGained(lease.term, (outcome) => {
        if (outcome === "failed") this.#lose();
        else this.#leading = true;
        again();
      });
    });
    this.#store.acquireLease(this.#host.name, this.#leaseMs, answer);
  }

  #lose(): void {
    if (this.#term === undefined) return;
    this.#term = undefined;
    this.#leading = false;
    this.#events.onLost();
  }
}
