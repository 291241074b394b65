import { setTimeout as sleep } from "node:timers/promises";
import type { Participant } from "@cutline/participant";
import * as grpc from "@grpc/grpc-js";
import { type CallKind, messagesOf, parseCall } from "../numbered.ts";
import type { NumbersClient } from "./contract.ts";
import type { CallRecord, Ledger } from "./ledger.ts";
import { pump, receive, send } from "./pump.ts";

export interface CallFailure {
  readonly callee: string;
  readonly status: string;
  readonly details: string;
  readonly begunAtMs: number;
  readonly atMs: number;
}

const kinds: readonly CallKind[] = ["unary", "unary", "unary", "upload", "download", "chat", "chat"];
const streamMessagesMax = 60;
/** A chat's requests may be so far ahead of its answers. */
const aheadMax = 16;
/** A callee of which a call has failed gets no new ones for so long. */
const restMs = 250;
/** Kept for the one who asks. */
const failuresMax = 5_000;

/** Keeps calls to every peer open, until it is told to stop. */
export class Caller {
  readonly #participant: Participant;
  readonly #ledger: Ledger;
  readonly ok: Record<CallKind, number> = { unary: 0, upload: 0, download: 0, chat: 0 };
  readonly failures: CallFailure[] = [];
  open = 0;
  #standing: "running" | "stopped" = "running";

  constructor(participant: Participant, ledger: Ledger) {
    this.#participant = participant;
    this.#ledger = ledger;
  }

  stop(): void {
    this.#standing = "stopped";
  }

  /** Begins so many lanes of calls to a peer, once. */
  start(callee: string, client: NumbersClient, lanes: number): void {
    for (let lane = 0; lane < lanes; lane += 1) void this.#run(callee, client);
  }

  /** One lane of calls to one peer, one after another. */
  async #run(callee: string, client: NumbersClient): Promise<void> {
    while (this.#standing === "running") {
      const kind = kinds[Math.floor(Math.random() * kinds.length)] ?? "unary";
      const messages = 1 + Math.floor(Math.random() * streamMessagesMax);
      this.open += 1;
      const outcome = await this.#call(kind, callee, messages, client);
      this.open -= 1;
      if (outcome === "failed") await sleep(restMs);
    }
  }

  async #call(kind: CallKind, callee: string, messages: number, client: NumbersClient): Promise<"ok" | "failed"> {
    const over = Promise.withResolvers<"ok" | "failed">();
    const begunAtMs = Date.now();
    await this.#participant.atomic(() => {
      const { record } = this.#ledger.make(kind, callee, messages);
      const end = (status: { readonly code: grpc.status; readonly details: string }) => {
        over.resolve(this.#end(record, status, begunAtMs));
      };
      this.#begin(kind, record, client, end);
    }, "call");
    return over.promise;
  }

  #begin(
    kind: CallKind,
    record: CallRecord,
    client: NumbersClient,
    end: (status: { readonly code: grpc.status; readonly details: string }) => void,
  ): void {
    const ledger = this.#ledger;
    const parts = { participant: this.#participant, ledger, record, direction: ">" as const };
    const onAnswer = (error: grpc.ServiceError | null, answer?: Buffer) => {
      if (answer !== undefined) receive(ledger, record, "<", answer);
      end(error ?? { code: grpc.status.OK, details: "" });
    };
    switch (kind) {
      case "unary":
        client.unary(send(ledger, record, ">"), onAnswer);
        return;
      case "upload":
        pump({ ...parts, stream: client.upload(onAnswer) })();
        return;
      case "download":
        readAll(client.download(send(ledger, record, ">")), (bytes) => receive(ledger, record, "<", bytes), end);
        return;
      case "chat": {
        const stream = client.chat();
        const goOn = pump({ ...parts, stream, aheadMax });
        const onMessage = (bytes: Buffer) => {
          receive(ledger, record, "<", bytes);
          goOn();
        };
        readAll(stream, onMessage, end);
        goOn();
      }
    }
  }

  #end(
    record: CallRecord,
    { code, details }: { readonly code: grpc.status; readonly details: string },
    begunAtMs: number,
  ): "ok" | "failed" {
    const name = parseCall(record.call);
    const { callee, kind } = name;
    if (code === grpc.status.OK) {
      this.#ledger.ended(record, "caller");
      if (record.sent === messagesOf(name, ">")) {
        this.ok[kind] += 1;
        return "ok";
      }
    }
    this.#ledger.broken(record, "caller");
    const told = `${record.call}: ${details}`;
    const failure = { callee, status: grpc.status[code], details: told, begunAtMs, atMs: Date.now() };
    if (this.failures.length < failuresMax) this.failures.push(failure);
    return "failed";
  }
}

/** `end` is called when the status has come and every message before it was read. */
function readAll(
  stream: grpc.ClientReadableStream<Buffer>,
  onMessage: (bytes: Buffer) => void,
  end: (status: grpc.StatusObject) => void,
): void {
  let status: grpc.StatusObject | undefined;
  let everythingRead = false;
  const endWhenComplete = () => {
    if (status !== undefined && everythingRead) end(status);
  };
  stream.on("data", onMessage);
  stream.on("end", () => {
    everythingRead = true;
    endWhenComplete();
  });
  stream.on("status", (its: grpc.StatusObject) => {
    status = its;
    endWhenComplete();
  });
  // The status says the same.
  stream.on("error", () => undefined);
}
