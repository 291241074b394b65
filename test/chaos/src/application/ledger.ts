import { type CallName, type Message, messagesOf, nameCall, type Party, parseCall } from "../numbered.ts";

/** What one end knows of one call. */
export interface CallRecord {
  readonly call: string;
  readonly number: number;
  /** The callee's run as far as the caller knew it when it made the call; 0: not at all. */
  readonly expectedRun: number;
  /** Caller: the callee's run as its answers say; 0: none has come. */
  calleeRun: number;
  phase: "open" | "ended";
  sent: number;
  received: number;
  sentTokens: number;
  receivedTokens: number;
}

/** Calls that are over at both ends, added up. */
export interface Totals {
  calls: number;
  sent: number;
  received: number;
  sentTokens: number;
  receivedTokens: number;
}

/** The state that snapshots take. */
export interface LedgerState {
  readonly self: Party;
  readonly made: readonly {
    readonly callee: string;
    /** The first number that is not added up. */
    readonly floor: number;
    readonly next: number;
    readonly records: readonly CallRecord[];
    /** Ended with another status than OK, of numbers from `floor` on. */
    readonly broken: readonly number[];
    readonly totals: readonly { readonly run: number; readonly totals: Totals }[];
  }[];
  readonly served: readonly {
    readonly caller: Party;
    readonly records: readonly CallRecord[];
    readonly totals: Totals;
  }[];
}

export interface Findings {
  lost: number;
  doubled: number;
  reordered: number;
  damaged: number;
}

interface Made {
  next: number;
  readonly records: Map<number, CallRecord>;
  readonly broken: Set<number>;
  readonly totals: Map<number, Totals>;
  knownRun: number;
}

interface Served {
  readonly caller: Party;
  readonly records: Map<number, CallRecord>;
  readonly totals: Totals;
}

/** An application's accounts: what it sent and received on which call. Every change stands in a section. */
export class Ledger {
  readonly self: Party;
  readonly findings: Findings = { lost: 0, doubled: 0, reordered: 0, damaged: 0 };
  messagesReceived = 0;
  readonly #made = new Map<string, Made>();
  readonly #served = new Map<string, Served>();
  readonly #missing = new Map<CallRecord, Set<number>>();

  constructor(self: Party) {
    this.self = self;
  }

  make(kind: CallName["kind"], callee: string, messages: number): { readonly call: string; record: CallRecord } {
    const made = this.#madeTo(callee);
    const number = made.next;
    made.next += 1;
    const call = nameCall({ kind, caller: this.self, callee, number, messages, floor: floorOf(made) });
    const record = newRecord(call, number, made.knownRun);
    made.records.set(number, record);
    return { call, record };
  }

  serve(call: string): CallRecord {
    const { caller, number, floor } = parseCall(call);
    const served = this.#servedOf(caller);
    const known = served.records.get(number);
    if (known !== undefined) return known;
    for (const [each, record] of served.records) {
      if (each >= floor || record.phase === "open") continue;
      addTo(served.totals, record);
      served.records.delete(each);
    }
    const record = newRecord(call, number, 0);
    served.records.set(number, record);
    return record;
  }

  sent(record: CallRecord, tokens: number): void {
    record.sent += 1;
    record.sentTokens += tokens;
  }

  received(record: CallRecord, { sequence, tokens, sender, direction }: Message): void {
    this.messagesReceived += 1;
    const missing = this.#missing.get(record);
    if (sequence > record.received + 1 && missing === undefined) {
      const gap = new Set<number>();
      for (let each = record.received + 1; each < sequence; each += 1) gap.add(each);
      this.#missing.set(record, gap);
    } else if (sequence <= record.received) {
      if (missing?.delete(sequence)) this.findings.reordered += 1;
      else this.findings.doubled += 1;
    }
    record.received = Math.max(record.received, sequence);
    record.receivedTokens += tokens;
    if (direction === "<") {
      record.calleeRun = sender.run;
      const made = this.#madeTo(sender.name);
      made.knownRun = Math.max(made.knownRun, sender.run);
    }
  }

  /** The call has ended well: what has not come by now is lost. */
  ended(record: CallRecord, side: "caller" | "callee"): void {
    if (record.phase === "ended") return;
    record.phase = "ended";
    const name = parseCall(record.call);
    this.findings.lost += messagesOf(name, side === "caller" ? "<" : ">") - record.received;
    this.findings.lost += this.#missing.get(record)?.size ?? 0;
    this.#missing.delete(record);
    if (side === "caller") this.#addUp(this.#madeTo(name.callee));
  }

  /** Caller: the call has ended with another status than OK. Callee: it was cancelled. */
  broken(record: CallRecord, side: "caller" | "callee"): void {
    if (record.phase === "ended") return;
    record.phase = "ended";
    this.#missing.delete(record);
    const { caller, callee, number } = parseCall(record.call);
    if (side === "callee") {
      this.#servedOf(caller).records.delete(number);
      return;
    }
    const made = this.#madeTo(callee);
    made.records.delete(number);
    made.broken.add(number);
    this.#addUp(made);
  }

  state(): LedgerState {
    return {
      self: this.self,
      made: [...this.#made].map(([callee, made]) => ({
        callee,
        floor: floorOf(made),
        next: made.next,
        records: [...made.records.values()],
        broken: [...made.broken],
        totals: [...made.totals].map(([run, totals]) => ({ run, totals })),
      })),
      served: [...this.#served.values()].map(({ caller, records, totals }) => ({
        caller,
        records: [...records.values()],
        totals,
      })),
    };
  }

  #addUp(made: Made): void {
    for (const [number, record] of made.records) {
      if (record.phase === "open") break;
      const totals = made.totals.get(record.calleeRun) ?? emptyTotals();
      made.totals.set(record.calleeRun, totals);
      addTo(totals, record);
      made.records.delete(number);
    }
    const floor = floorOf(made);
    for (const number of made.broken) if (number < floor) made.broken.delete(number);
  }

  #madeTo(callee: string): Made {
    const made = this.#made.get(callee) ?? {
      next: 1,
      records: new Map(),
      broken: new Set(),
      totals: new Map(),
      knownRun: 0,
    };
    this.#made.set(callee, made);
    return made;
  }

  #servedOf(caller: Party): Served {
    const key = `${caller.name}.${caller.run}`;
    const served = this.#served.get(key) ?? { caller, records: new Map(), totals: emptyTotals() };
    this.#served.set(key, served);
    return served;
  }
}

function floorOf(made: Made): number {
  const [first] = made.records.keys();
  return first ?? made.next;
}

function newRecord(call: string, number: number, expectedRun: number): CallRecord {
  const nothing = { sent: 0, received: 0, sentTokens: 0, receivedTokens: 0 };
  return { call, number, expectedRun, calleeRun: 0, phase: "open", ...nothing };
}

export function emptyTotals(): Totals {
  return { calls: 0, sent: 0, received: 0, sentTokens: 0, receivedTokens: 0 };
}

export function addTo(totals: Totals, record: Omit<Totals, "calls">): void {
  totals.calls += 1;
  totals.sent += record.sent;
  totals.received += record.received;
  totals.sentTokens += record.sentTokens;
  totals.receivedTokens += record.receivedTokens;
}
