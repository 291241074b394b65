import * as grpc from "@grpc/grpc-js";
import type { Settlement, SettlementAck } from "./contract.ts";
import { answerDeadline, type Peer } from "./peer.ts";
import type { Sender, Sent } from "./sending.ts";

/** A stream is closed and a new one opened after this many settlements, or after this long. */
const SETTLEMENTS_PER_STREAM = 1_000;
const STREAM_LIFE_MS = 10_000;

/** One stream of settlements to one peer, from its opening to its status. */
export class SettlementStream {
  readonly #sender: Sender;
  readonly #peer: Peer;
  readonly #stream: grpc.ClientDuplexStream<Settlement, SettlementAck>;
  readonly #unacknowledged = new Map<string, number>();
  readonly #ended = Promise.withResolvers<Sent>();
  readonly #closesAt = Date.now() + STREAM_LIFE_MS;
  #standing: "open" | "ended" = "open";
  #left = SETTLEMENTS_PER_STREAM;
  #moved = Promise.withResolvers<void>();

  constructor(sender: Sender, peer: Peer) {
    this.#sender = sender;
    this.#peer = peer;
    this.#stream = peer.client.settle(answerDeadline());
    let status: grpc.StatusObject | undefined;
    let everythingRead = false;
    const endWhenComplete = (): void => {
      if (status !== undefined && everythingRead) this.#end(status);
    };
    this.#stream.on("data", (ack: SettlementAck) => this.#acknowledge(ack));
    this.#stream.on("drain", () => this.#wake());
    this.#stream.on("end", () => {
      everythingRead = true;
      endWhenComplete();
    });
    this.#stream.on("status", (its: grpc.StatusObject) => {
      status = its;
      endWhenComplete();
    });
    // The status says the same, and says it after the last acknowledgement.
    this.#stream.on("error", () => undefined);
  }

  /** Sends while `mayGoOn`, with at most `windowMax` settlements unacknowledged; resolves with the stream's end. */
  async send(windowMax: number, mayGoOn: () => boolean, pause: () => Promise<void>): Promise<Sent> {
    while (this.#standing === "open" && this.#left > 0 && Date.now() < this.#closesAt && mayGoOn()) {
      if (this.#unacknowledged.size >= windowMax || this.#stream.writableNeedDrain) {
        await this.#moved.promise;
        continue;
      }
      await this.#sender.atomic(async () => this.#write());
      await pause();
    }
    this.#stream.end();
    return this.#ended.promise;
  }

  #write(): void {
    const { ledger } = this.#sender;
    const amountCents = this.#sender.chooseAmount();
    this.#left = amountCents === 0 ? 0 : this.#left - 1;
    if (amountCents === 0 || this.#standing === "ended") return;
    const settlement = this.#sender.payment(this.#peer.name, amountCents);
    ledger.debit(amountCents, "settlementsSent");
    this.#unacknowledged.set(settlement.id, amountCents);
    this.#stream.write(settlement);
  }

  #acknowledge({ id, accepted, amountCents }: SettlementAck): void {
    this.#unacknowledged.delete(id);
    if (!accepted) this.#sender.ledger.takeBack(amountCents);
    this.#wake();
  }

  #end({ code }: grpc.StatusObject): void {
    this.#standing = "ended";
    const lost = this.#unacknowledged;
    const complete = code === grpc.status.OK && lost.size === 0;
    if (!complete) {
      const lostCents = [...lost.values()].reduce((sum, cents) => sum + cents, 0);
      this.#sender.ledger.fail(code === grpc.status.OK ? "UNACKNOWLEDGED" : grpc.status[code], lostCents);
      this.#peer.lose();
    }
    this.#wake();
    this.#ended.resolve(complete ? "answered" : "failed");
  }

  #wake(): void {
    this.#moved.resolve();
    this.#moved = Promise.withResolvers<void>();
  }
}
