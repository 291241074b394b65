import type { Logger } from "@cutline/runtime";
import { type Store, StoreError, type Succession } from "../store/port.ts";

export interface LeadershipOptions {
  readonly store: Pick<Store, "acquireLease" | "renewLease" | "releaseLease">;
  /** Unique among all programs that run, a restarted one included. */
  readonly holder: string;
  readonly leaseMs: number;
  readonly nowMs: () => number;
  readonly logger: Logger;
  /** Runs to its end before `term` says so. */
  readonly onGained: (term: number, succession: Succession) => Promise<void>;
  readonly onLost: () => void;
}

/** Renewals in one lease. */
const renewalsPerLease = 3;

/**
 * Takes the lease, keeps it, and takes it again after a loss. By this clock the lease ends `leaseMs` after the request
 * that last renewed it was sent, so a leader stops before another can begin.
 */
export class Leadership {
  readonly #options: LeadershipOptions;
  #term: number | undefined;
  #leading = false;
  #leaseEndMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  /** `undefined`: this replica does not lead. */
  term(): number | undefined {
    return this.#leading && this.#term !== undefined && this.holds(this.#term) ? this.#term : undefined;
  }

  /**
   * The lease was granted with this term and has not ended, also while `onGained` runs. No two grants have the same term, so
   * whoever waited for something learns here whether it is still in the time in which it began.
   */
  holds(term: number): boolean {
    return this.#term === term && this.#options.nowMs() < this.#leaseEndMs;
  }

  /** Resolves after the first try. */
  async start(): Promise<void> {
    await this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#turn;
    const term = this.#term;
    this.#lose("stopping");
    if (term === undefined) return;
    try {
      await this.#options.store.releaseLease(term);
    } catch (error) {
      // The lease ends by itself; the next leader waits a little longer.
      this.#options.logger.warn({ term, error }, "lease not released");
    }
  }

  #run(): Promise<void> {
    this.#turn = this.#tryTurn().finally(() => {
      if (this.#stopped) return;
      this.#timer = setTimeout(() => void this.#run(), this.#options.leaseMs / renewalsPerLease);
    });
    return this.#turn;
  }

  async #tryTurn(): Promise<void> {
    const { logger, nowMs } = this.#options;
    if (this.#term !== undefined && nowMs() >= this.#leaseEndMs) this.#lose("lease ran out");
    try {
      if (this.#term === undefined) await this.#acquire();
      else await this.#renew(this.#term);
    } catch (error) {
      logger.warn({ term: this.#term, error }, "lease not renewed");
    }
  }

  async #acquire(): Promise<void> {
    const { store, holder, leaseMs, nowMs, logger } = this.#options;
    const askedAtMs = nowMs();
    const lease = await store.acquireLease(holder, leaseMs);
    if (lease.outcome === "held") {
      logger.debug({ holder: lease.holder, expiresInMs: lease.expiresInMs }, "another replica leads");
      return;
    }
    this.#term = lease.term;
    this.#leaseEndMs = askedAtMs + leaseMs;
    try {
      await this.#options.onGained(lease.term, lease.succession);
    } catch (error) {
      this.#lose("take-over failed");
      throw error;
    }
    this.#leading = true;
    logger.info({ term: lease.term, succession: lease.succession }, "leading");
  }

  async #renew(term: number): Promise<void> {
    const { store, leaseMs, nowMs } = this.#options;
    const askedAtMs = nowMs();
    const outcome = await store.renewLease(term, leaseMs);
    if (outcome === "lost") this.#lose("another replica took over");
    else this.#leaseEndMs = askedAtMs + leaseMs;
  }

  #lose(reason: string): void {
    if (this.#term === undefined) return;
    this.#options.logger.warn({ term: this.#term, reason }, "not leading any more");
    this.#term = undefined;
    this.#leading = false;
    this.#options.onLost();
  }
}

/** What was to be done needs the lead, and this replica does not have it, or has it no more. */
export function fenced(): StoreError {
  return new StoreError("StoreFenced", "this coordinator does not lead; ask again, or ask another replica");
}
