/** What a branch counts, beside the money. */
export interface Counters {
  transfersSent: number;
  routesSent: number;
  settlementsSent: number;
  transfersReceived: number;
  settlementsReceived: number;
  /** Payments that this branch refused to take. */
  refused: number;
  /** Payments of this branch that came back refused. */
  takenBack: number;
  /** Routes that this branch passed on, as a transfer or to the next clearing branch. */
  routesForwarded: number;
  /** Those passed on to a further clearing branch: calls nested three deep and more. */
  chainsForwarded: number;
  /** Calls that came back to the branch they had started from, which still waits for their answer. */
  cyclesClosed: number;
}

/** The local state of a branch: what a snapshot of it contains. */
export interface BranchState {
  branch: string;
  balanceCents: number;
  /** Amounts of calls that failed: nobody knows whether they arrived. 0 as long as nothing breaks. */
  unresolvedCents: number;
  /** Failed calls by the name of their gRPC status. */
  failures: Record<string, number>;
  counters: Counters;
}

/** The books of one branch. Every method is synchronous, so that money never stands between two lines of a ledger. */
export class Ledger {
  readonly branch: string;
  readonly counters: Counters = {
    transfersSent: 0,
    routesSent: 0,
    settlementsSent: 0,
    transfersReceived: 0,
    settlementsReceived: 0,
    refused: 0,
    takenBack: 0,
    routesForwarded: 0,
    chainsForwarded: 0,
    cyclesClosed: 0,
  };
  #balanceCents: number;
  #unresolvedCents = 0;
  readonly #failures = new Map<string, number>();

  constructor(branch: string, openingCents: number) {
    this.branch = branch;
    this.#balanceCents = openingCents;
  }

  get balanceCents(): number {
    return this.#balanceCents;
  }

  /** Takes money out to send it. The message that carries it must leave in the same synchronous run. */
  debit(amountCents: number, kind: "transfersSent" | "routesSent" | "settlementsSent"): void {
    if (!isAmount(amountCents) || amountCents > this.#balanceCents) {
      throw new RangeError(`branch ${this.branch} cannot debit ${amountCents} of ${this.#balanceCents} cents`);
    }
    this.#balanceCents -= amountCents;
    this.counters[kind] += 1;
  }

  /** Takes in money that another branch sent. */
  credit(amountCents: number, kind: "transfersReceived" | "settlementsReceived"): void {
    this.#balanceCents += amountCents;
    this.counters[kind] += 1;
  }

  /** Takes back what the receiver refused. */
  takeBack(amountCents: number): void {
    this.#balanceCents += amountCents;
    this.counters.takenBack += 1;
  }

  /** Books a failed call. `amountCents` is what was sent and neither accepted nor refused: 0 for a clearing branch. */
  fail(status: string, amountCents: number): void {
    this.#unresolvedCents += amountCents;
    this.#failures.set(status, (this.#failures.get(status) ?? 0) + 1);
  }

  state(): BranchState {
    return {
      branch: this.branch,
      balanceCents: this.#balanceCents,
      unresolvedCents: this.#unresolvedCents,
      failures: Object.fromEntries(this.#failures),
      counters: { ...this.counters },
    };
  }
}

export function isAmount(cents: number): boolean {
  return Number.isSafeInteger(cents) && cents > 0;
}
