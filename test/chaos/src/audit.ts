import { addTo, type CallRecord, emptyTotals, type LedgerState, type Totals } from "./application/ledger.ts";
import { type Direction, type Message, parseCall, readMessage } from "./numbered.ts";

/** The parts of a global state that the audit reads. */
interface GlobalState {
  readonly processes: readonly { readonly id: string; readonly encoding: "utf8" | "base64"; readonly data: string }[];
  readonly channels: readonly {
    readonly id: string;
    readonly messages: readonly { readonly complete: boolean; readonly payloadBase64: string }[];
  }[];
}

export interface Audit {
  /** What is wrong; empty when every message is where it belongs. */
  readonly problems: readonly string[];
  readonly inFlight: number;
  /** Tokens in flight. */
  readonly tokens: number;
  /** Calls that were looked at message by message. */
  readonly calls: number;
}

const problemsMax = 20;

/**
 * Checks a global state call by call: of every message that its sender's state says was sent, the receiver's state says
 * that it was received, or it is in flight, once and in its place, and nothing else is. Tokens of calls that are over
 * are added up by pairs. `mayMiss` names processes that were dead while it was taken: only they may be missing. Calls with runs of a process that are no more prove nothing, and are left out.
 */
export function auditState(bytes: Buffer, mayMiss: ReadonlySet<string>): Audit {
  const auditor = new Auditor(JSON.parse(bytes.toString()) as GlobalState, mayMiss);
  return auditor.run();
}

class Auditor {
  readonly #states = new Map<string, LedgerState>();
  readonly #flights = new Map<string, Message[]>();
  readonly #problems: string[] = [];
  readonly #mayMiss: ReadonlySet<string>;
  #inFlight = 0;
  #tokens = 0;
  #calls = 0;

  constructor(state: GlobalState, mayMiss: ReadonlySet<string>) {
    this.#mayMiss = mayMiss;
    for (const { encoding, data } of state.processes) {
      const ledger = JSON.parse(Buffer.from(data, encoding).toString()) as LedgerState;
      this.#states.set(ledger.self.name, ledger);
    }
    for (const { id, messages } of state.channels) {
      for (const [index, { complete, payloadBase64 }] of messages.entries()) {
        try {
          if (!complete) throw new RangeError("only a part of a message is there");
          this.#fly(readMessage(Buffer.from(payloadBase64, "base64")));
        } catch (error) {
          this.#wrong(`channel ${id}, message ${index}: ${(error as Error).message}`);
        }
      }
    }
  }

  run(): Audit {
    for (const caller of this.#states.values()) {
      for (const made of caller.made) {
        const callee = this.#states.get(made.callee);
        if (callee !== undefined) this.#pair(caller, made, callee);
        else if (!this.#mayMiss.has(made.callee)) this.#wrong(`${made.callee} is missing`);
        else for (const { call } of made.records) this.#forget(call);
      }
    }
    for (const [key, [message]] of this.#flights) {
      if (message === undefined) continue;
      const { caller, callee } = parseCall(message.call);
      const isLive = this.#states.get(caller.name)?.self.run === caller.run;
      // A call made to a run that is no more is in nobody's records, and its answers came from that run.
      const toLive = message.direction === ">" || this.#states.get(callee)?.self.run === message.sender.run;
      if (isLive && toLive && !this.#isBroken(message.call)) this.#wrong(`${key} is in flight, on a call that is over`);
    }
    const [inFlight, tokens, calls] = [this.#inFlight, this.#tokens, this.#calls];
    return { problems: this.#problems, inFlight, tokens, calls };
  }

  #pair(caller: LedgerState, made: LedgerState["made"][number], callee: LedgerState): void {
    const pair = `${caller.self.name}.${caller.self.run} to ${callee.self.name}.${callee.self.run}`;
    const served = callee.served.find(({ caller: of }) => of.name === caller.self.name && of.run === caller.self.run);
    const servedRecords = new Map(served?.records.map((record) => [record.number, record]));
    const total = emptyTotals();
    Object.assign(total, served?.totals ?? {});
    for (const record of made.records) {
      const other = servedRecords.get(record.number);
      servedRecords.delete(record.number);
      this.#call(record, other, callee.self.run);
    }
    for (const [number, record] of servedRecords) {
      if (number < made.floor) addTo(total, record);
      else if (!made.broken.includes(number)) this.#wrong(`${pair}: call ${record.call} was served and never made`);
    }
    const paid = made.totals.find(({ run }) => run === callee.self.run)?.totals ?? emptyTotals();
    this.#compareTotals(pair, paid, total);
  }

  #call(made: CallRecord, served: CallRecord | undefined, calleeRun: number): void {
    // Its callee is no more, and the caller may not have heard of it.
    const answeredByAnother = made.calleeRun !== 0 && made.calleeRun !== calleeRun;
    const perhapsByAnother = made.calleeRun === 0 && made.expectedRun !== calleeRun && calleeRun > 1;
    if (answeredByAnother || (perhapsByAnother && served === undefined)) {
      this.#forget(made.call);
      return;
    }
    this.#calls += 1;
    this.#direction(made.call, ">", made.sent, served?.received ?? 0);
    this.#direction(made.call, "<", served?.sent ?? 0, made.received);
  }

  /** In flight must be exactly what was sent and not received. */
  #direction(call: string, direction: Direction, sent: number, received: number): void {
    const key = `${call} ${direction}`;
    const flying = this.#flights.get(key) ?? [];
    this.#flights.delete(key);
    const numbers = flying.map(({ sequence }) => sequence);
    const right = numbers.length === sent - received && numbers.every((number, at) => number === received + 1 + at);
    if (!right) this.#wrong(`${key}: ${sent} sent, ${received} received, in flight [${numbers.join(", ")}]`);
  }

  #compareTotals(pair: string, paid: Totals, got: Totals): void {
    const isEven =
      paid.calls === got.calls &&
      paid.sent === got.received &&
      paid.received === got.sent &&
      paid.sentTokens === got.receivedTokens &&
      paid.receivedTokens === got.sentTokens;
    if (!isEven)
      this.#wrong(`${pair}: the callers' accounts ${JSON.stringify(paid)}, the callees' ${JSON.stringify(got)}`);
  }

  #fly(message: Message): void {
    const key = `${message.call} ${message.direction}`;
    const flying = this.#flights.get(key) ?? [];
    this.#flights.set(key, flying);
    flying.push(message);
    this.#inFlight += 1;
    this.#tokens += message.tokens;
  }

  #forget(call: string): void {
    for (const direction of [">", "<"]) this.#flights.delete(`${call} ${direction}`);
  }

  #isBroken(call: string): boolean {
    const { caller, callee, number } = parseCall(call);
    const made = this.#states.get(caller.name)?.made.find((each) => each.callee === callee);
    return made?.broken.includes(number) === true || (made !== undefined && number < made.floor && this.#ran(callee));
  }

  /** Whether it has been restarted: then calls of numbers that are added up may have been broken ones. */
  #ran(callee: string): boolean {
    return (this.#states.get(callee)?.self.run ?? 1) > 1;
  }

  #wrong(problem: string): void {
    if (this.#problems.length < problemsMax) this.#problems.push(problem);
  }
}
