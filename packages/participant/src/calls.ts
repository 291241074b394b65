import type { CallPosition, CallReceipt, NumberSet } from "@cutline/proto/participant";
import { BegunIds } from "./begun-ids.ts";
import type { Inbound } from "./inbound.ts";
import { callIdsPerIncarnation } from "./limits.ts";

/** One call this application serves or makes, from the application's side. */
export interface Call {
  readonly method: string;
  inbound: Inbound;
  /** Several messages may be received on it, so receipts report how many were. */
  readonly receivesStream: boolean;
  headersReceived: boolean;
  headersSent: boolean;
  messagesSent: number;
  endSent: boolean;
}

export interface IncomingCall extends Call {
  /** Given by the agent; `undefined`: it came another way. */
  readonly id: number | undefined;
}

export interface OutgoingCall extends Call {
  readonly id: number;
  readonly epoch: number;
  /** On whose behalf it was made, and who therefore may wait for it. */
  readonly incoming: IncomingCall | undefined;
}

export interface Positions {
  readonly epoch: number;
  readonly incomingBegun: NumberSet;
  readonly incomingOpen: CallPosition[];
  readonly outgoingOpen: CallPosition[];
}

/** Told of what receipts are made of. */
export interface ReceiptWatcher {
  outgoingEnded(id: number): void;
  messageReceived(): void;
}

/** All open calls, their positions, and the epoch. */
export class Calls {
  #epoch = 1;
  #outgoingLast = 0;
  readonly #outgoing = new Map<number, OutgoingCall>();
  #incoming = new Map<number, IncomingCall>();
  #agent = { incarnation: "", firstCallId: 0 };
  #begun: BegunIds | undefined;
  readonly #watchers = new Set<ReceiptWatcher>();

  get epoch(): number {
    return this.#epoch;
  }

  /** Forgets the calls of an earlier incarnation; a second connection of the same one changes nothing. */
  greet(incarnation: string, firstCallId: number): void {
    if (this.#begun !== undefined && this.#agent.incarnation === incarnation) return;
    this.#agent = { incarnation, firstCallId };
    this.#begun = new BegunIds(firstCallId);
    this.#incoming = new Map();
  }

  /** The handler begins: from here on the request counts as received. `settled`: it must not begin. */
  beginIncoming(call: IncomingCall): "begun" | "settled" {
    if (this.#begun === undefined || call.id === undefined || !this.#isAgents(call.id)) return "begun";
    if (this.#begun.isSettled(call.id)) return "settled";
    this.#begun.add(call.id);
    this.#incoming.set(call.id, call);
    return "begun";
  }

  /** Those that have not begun count as begun and ended, and cannot begin any more. Synchronous. Returns those open. */
  settleIncoming(ids: readonly number[]): number[] {
    for (const id of ids) if (this.#isAgents(id)) this.#begun?.settle(id);
    return ids.filter((id) => this.#incoming.has(id));
  }

  /** Cancelled before its handler began. It counts as begun and ended, because nothing more of it can matter. */
  skipIncoming(call: IncomingCall): void {
    if (call.id !== undefined && this.#isAgents(call.id)) this.#begun?.add(call.id);
  }

  endIncoming(call: IncomingCall): void {
    if (call.id !== undefined && this.#incoming.get(call.id) === call) this.#incoming.delete(call.id);
  }

  openOutgoing(open: (id: number, epoch: number) => OutgoingCall): OutgoingCall {
    this.#outgoingLast += 1;
    const call = open(this.#outgoingLast, this.#epoch);
    this.#outgoing.set(call.id, call);
    return call;
  }

  endOutgoing(call: OutgoingCall): void {
    if (!this.#outgoing.delete(call.id)) return;
    for (const watcher of this.#watchers) watcher.outgoingEnded(call.id);
  }

  messageReceived(): void {
    for (const watcher of this.#watchers) watcher.messageReceived();
  }

  /** Where every call stands now. Synchronous, and changes nothing. */
  positions(): Positions {
    const waitsFor = new Map<IncomingCall, number[]>();
    for (const { id, incoming } of this.#outgoing.values()) {
      if (incoming === undefined) continue;
      const ids = waitsFor.get(incoming);
      if (ids === undefined) waitsFor.set(incoming, [id]);
      else ids.push(id);
    }
    return {
      epoch: this.#epoch,
      incomingBegun: this.#begun?.toNumberSet() ?? { first: 1, through: 0, also: [] },
      incomingOpen: [...this.#incoming].map(([id, call]) => positionOf(id, call, waitsFor.get(call) ?? [])),
      outgoingOpen: [...this.#outgoing].map(([id, call]) => positionOf(id, call, [])),
    };
  }

  beginEpoch(): void {
    this.#epoch += 1;
  }

  /** The streams still open, with what was received on them. */
  *streams(): IterableIterator<{ readonly call: Call; readonly receipt: CallReceipt }> {
    for (const [direction, calls] of [["incoming", this.#incoming] as const, ["outgoing", this.#outgoing] as const]) {
      for (const [callId, call] of calls) {
        if (!call.receivesStream) continue;
        const { messagesReceived } = call.inbound;
        yield { call, receipt: { callId, outgoing: direction === "outgoing", messagesReceived } };
      }
    }
  }

  outgoingSoFar(): { readonly last: number; readonly open: Iterable<number> } {
    return { last: this.#outgoingLast, open: this.#outgoing.keys() };
  }

  /** Until the answer is called. */
  watch(watcher: ReceiptWatcher): () => void {
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  #isAgents(id: number): boolean {
    const { firstCallId } = this.#agent;
    return this.#begun !== undefined && id >= firstCallId && id < firstCallId + callIdsPerIncarnation;
  }
}

function positionOf(callId: number, call: Call, waitsFor: number[]): CallPosition {
  return {
    callId,
    headersReceived: call.headersReceived,
    messagesReceived: call.inbound.messagesReceived,
    endReceived: call.inbound.endReceived,
    headersSent: call.headersSent,
    messagesSent: call.messagesSent,
    endSent: call.endSent,
    waitsFor,
    method: call.method,
  };
}
