/** The sending side of a branch, one payment at a time. Streams of settlements are in settlement-stream.ts. */
import * as grpc from "@grpc/grpc-js";
import type { PaymentReply } from "./contract.ts";
import type { Ledger } from "./ledger.ts";
import { answerDeadline, type Peer } from "./peer.ts";
import type { Random } from "./random.ts";

const AMOUNT_MAX_CENTS = 10_000;
const CLEARING_BRANCHES_MAX = 3;

/** `nothing`: no money or no peer to send to, so nothing was sent. */
export type Sent = "answered" | "failed" | "nothing";

/** Runs its argument as one section: a snapshot is taken before it or after it, never in its midst. */
export type Atomic = (section: () => Promise<void>) => Promise<void>;

export class Sender {
  readonly ledger: Ledger;
  readonly random: Random;
  readonly atomic: Atomic;
  readonly #peers: ReadonlyMap<string, Peer>;
  readonly #padding: Buffer;
  #sent = 0;

  constructor(ledger: Ledger, random: Random, atomic: Atomic, peers: ReadonlyMap<string, Peer>, paddingBytes: number) {
    this.ledger = ledger;
    this.random = random;
    this.atomic = atomic;
    this.#peers = peers;
    this.#padding = Buffer.alloc(paddingBytes);
  }

  async transfer(): Promise<Sent> {
    const sent = Promise.withResolvers<Sent>();
    await this.atomic(async () => {
      const peer = this.random.pick(this.#present());
      const amountCents = this.chooseAmount();
      if (peer === undefined || amountCents === 0) return sent.resolve("nothing");
      // Debit and call stand in one synchronous run: at every instant the money is in the balance or on its way.
      this.ledger.debit(amountCents, "transfersSent");
      peer.client.transfer(this.payment(peer.name, amountCents), answerDeadline(), (error, reply) =>
        sent.resolve(this.#book(peer, amountCents, error, reply)),
      );
    });
    return sent.promise;
  }

  async route(): Promise<Sent> {
    const sent = Promise.withResolvers<Sent>();
    await this.atomic(async () => {
      const [first, ...via] = this.#chooseRoute();
      const to = via.pop();
      const amountCents = this.chooseAmount();
      const peer = this.#peers.get(first ?? "");
      if (peer === undefined || to === undefined || amountCents === 0) return sent.resolve("nothing");
      this.ledger.debit(amountCents, "routesSent");
      peer.client.route({ ...this.payment(to, amountCents), via }, answerDeadline(), (error, reply) =>
        sent.resolve(this.#book(peer, amountCents, error, reply)),
      );
    });
    return sent.promise;
  }

  /** At most a hundredth of the balance, so that a fast sender among slow ones is not soon without money; 0 if it is. */
  chooseAmount(): number {
    const mostCents = Math.min(Math.ceil(this.ledger.balanceCents / 100), AMOUNT_MAX_CENTS);
    return mostCents === 0 ? 0 : 1 + this.random.below(mostCents);
  }

  payment(to: string, amountCents: number) {
    this.#sent += 1;
    return {
      id: `${this.ledger.branch}/${this.#sent}`,
      from: this.ledger.branch,
      to,
      amountCents,
      padding: this.#padding,
    };
  }

  /** Runs in the answer's callback, to its end: what came back is in the balance before anybody can look. */
  #book(peer: Peer, amountCents: number, error: grpc.ServiceError | null, reply?: PaymentReply): Sent {
    if (error !== null || reply === undefined) {
      this.ledger.fail(grpc.status[error?.code ?? grpc.status.UNKNOWN], amountCents);
      peer.lose();
      return "failed";
    }
    if (!reply.accepted) this.ledger.takeBack(reply.amountCents);
    return "answered";
  }

  #present(): Peer[] {
    return [...this.#peers.values()].filter((peer) => peer.takes !== undefined);
  }

  /** Clearing branches, then the receiver; no branch twice in a row, the sender's own included: it may be any but first. */
  #chooseRoute(): string[] {
    const present = this.#present();
    const clearing = present.filter((peer) => peer.takes?.clearsRoutes).map((peer) => peer.name);
    const route: string[] = [];
    let here = this.ledger.branch;
    const goTo = (branches: string[]): void => {
      const next = this.random.pick(branches.filter((branch) => branch !== here));
      if (next !== undefined) route.push(next);
      here = next ?? here;
    };
    const hops = 1 + this.random.below(CLEARING_BRANCHES_MAX);
    for (let hop = 0; hop < hops; hop += 1) goTo([...clearing, this.ledger.branch]);
    goTo([...present.map((peer) => peer.name), this.ledger.branch]);
    return route;
  }
}
