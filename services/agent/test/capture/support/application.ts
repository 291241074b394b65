import { createParticipant, type Participant } from "@cutline/participant";
import * as grpc from "@grpc/grpc-js";
import { Ledger } from "./ledger.ts";

const sameBytes = (bytes: Buffer) => bytes;

const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Ledger/${name}`,
  requestStream,
  responseStream,
  requestSerialize: sameBytes,
  requestDeserialize: sameBytes,
  responseSerialize: sameBytes,
  responseDeserialize: sameBytes,
});

export const ledgerService = {
  unary: method("Unary", false, false),
  collect: method("Collect", true, false),
  list: method("List", false, true),
  chat: method("Chat", true, true),
};

/** What a caller asks of a handler, in its first request. */
export interface Order {
  /** Answers of `list`; requests after which `collect` and `chat` answer early, if they do. */
  readonly count?: number;
  readonly answerBytes?: number;
  /** Before the answer, and between messages. */
  readonly pauseMs?: number;
  /** The handler answers after `release()`. */
  readonly untilReleased?: true;
  /** How a stream is read; `once`: no more than the first message. */
  readonly reading?: "data" | "slow" | "once";
  readonly fails?: boolean;
  /** Calls that the handler makes before it answers, one after the other: `process:order`. */
  readonly calls?: readonly { readonly to: string; readonly order: Order }[];
}

type Answer = (error: grpc.ServiceError | null, value?: Buffer) => void;

/** A gRPC application whose state is its ledger. */
export interface LedgerApplication {
  readonly ledger: Ledger;
  readonly participant: Participant;
  readonly kind: "participant" | "opaque";
  readonly port: number;
  /** To be set before the first call: a client for a process. */
  dial: (to: string) => grpc.Client;
  /** A unary call; resolves with its status. */
  unary(to: string, key: string, order: Order, options: UnaryOptions): Promise<grpc.status>;
  /** Lets handlers go that were told to wait for it, now and from now on. */
  release(): void;
  stop(): void;
}

interface UnaryOptions {
  readonly bytes?: number;
  readonly deadlineMs?: number;
  readonly cancelAfterMs?: number;
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** `opaque`: neither its server nor its clients are wrapped. */
export async function startApplication(
  id: string,
  kind: "participant" | "opaque" = "participant",
  atPort = 0,
): Promise<LedgerApplication> {
  const ledger = new Ledger();
  let nested = 0;
  const released = Promise.withResolvers<void>();
  const participant = createParticipant({ state: () => ledger.state(), receiptIntervalMs: 20 });
  const plain = new grpc.Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
  const server = kind === "participant" ? participant.server(plain) : plain;

  const answerEnd = (key: string, fails: boolean | undefined) =>
    ledger.end(key, "callee", fails ? "failed" : "answered");
  const failure = { code: grpc.status.ABORTED, details: "as it was ordered" };

  server.addService(ledgerService, {
    unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: Answer) {
      const first = ledger.receive(call.request);
      const order = JSON.parse(first.order || "{}") as Order;
      call.once("cancelled", () => ledger.end(first.key, "callee", "cancelled"));
      const handle = async () => {
        if (order.pauseMs !== undefined) await pause(order.pauseMs);
        if (order.untilReleased) await released.promise;
        for (const { to, order: next } of order.calls ?? []) {
          nested += 1;
          await application.unary(to, `${id}>${to}#n${nested}`, next, {});
        }
        if (order.fails) {
          answerEnd(first.key, true);
          answer(Object.assign(new Error("failed"), failure) as grpc.ServiceError);
          return;
        }
        if (!call.cancelled) {
          const bytes = ledger.send(first.key, "answer", order.answerBytes ?? 0);
          answerEnd(first.key, false);
          answer(null, bytes);
        } else answer(null, Buffer.alloc(0));
      };
      return handle();
    },
    collect(call: grpc.ServerReadableStream<Buffer, Buffer>, answer: Answer) {
      const key = keyOf(call.metadata);
      let order: Order = {};
      let count = 0;
      let answered = false;
      const finish = () => {
        if (answered) return;
        answered = true;
        if (call.cancelled) {
          answer(null, Buffer.alloc(0));
          return;
        }
        if (order.fails) {
          answerEnd(key, true);
          answer(Object.assign(new Error("failed"), failure) as grpc.ServiceError);
          return;
        }
        const bytes = ledger.send(key, "answer", order.answerBytes ?? 0);
        answerEnd(key, false);
        answer(null, bytes);
      };
      call.once("cancelled", () => ledger.end(key, "callee", "cancelled"));
      const take = (message: Buffer) => {
        if (answered) return;
        const read = ledger.receive(message);
        if (count === 0) order = JSON.parse(read.order || "{}") as Order;
        count += 1;
        if (order.count !== undefined && count >= order.count) finish();
      };
      call.on("error", () => {});
      if (readsInLoop(call.metadata)) return readInLoop(call, take).then(finish, () => undefined);
      read(call, take, () => order.reading, finish);
      return undefined;
    },
    list(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      const first = ledger.receive(call.request);
      const order = JSON.parse(first.order || "{}") as Order;
      let open = true;
      call.once("cancelled", () => {
        open = false;
        ledger.end(first.key, "callee", "cancelled");
      });
      call.on("error", () => {});
      let left = order.count ?? 3;
      const next = () => {
        while (open && left > 0) {
          left -= 1;
          const room = call.write(ledger.send(first.key, "answer", order.answerBytes ?? 0));
          if (!room) {
            call.once("drain", next);
            return;
          }
          if (order.pauseMs !== undefined) {
            setTimeout(next, order.pauseMs);
            return;
          }
        }
        if (!open) return;
        open = false;
        answerEnd(first.key, order.fails);
        if (order.fails) call.emit("error", failure);
        else call.end();
      };
      next();
    },
    chat(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      const key = keyOf(call.metadata);
      let order: Order = {};
      let count = 0;
      let open = true;
      call.once("cancelled", () => {
        open = false;
        ledger.end(key, "callee", "cancelled");
      });
      call.on("error", () => {});
      const finish = () => {
        if (!open) return;
        open = false;
        answerEnd(key, order.fails);
        if (order.fails) call.emit("error", failure);
        else call.end();
      };
      const take = (message: Buffer) => {
        if (!open && count > 0) return;
        const received = ledger.receive(message);
        if (count === 0) order = JSON.parse(received.order || "{}") as Order;
        count += 1;
        if (open) call.write(ledger.send(key, "answer", order.answerBytes ?? 0));
        if (order.count !== undefined && count >= order.count) finish();
      };
      if (readsInLoop(call.metadata)) return readInLoop(call, take).then(finish, () => undefined);
      read(call, take, () => order.reading, finish);
      return undefined;
    },
  } as unknown as grpc.UntypedServiceImplementation);

  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${atPort}`, grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });

  const application: LedgerApplication = {
    ledger,
    participant,
    kind,
    port,
    release: released.resolve,
    dial() {
      throw new Error(`${id} cannot dial yet`);
    },
    unary(to, key, order, { bytes = 0, deadlineMs, cancelAfterMs }) {
      return new Promise((resolve) => {
        const request = ledger.send(key, "request", bytes, JSON.stringify(order));
        const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
        const call = application
          .dial(to)
          .makeUnaryRequest(
            ledgerService.unary.path,
            sameBytes,
            sameBytes,
            request,
            metadataOf(key),
            options,
            (error, value) => {
              if (error === null && value !== undefined) ledger.receive(value);
              ledger.end(key, "caller", statusName(error?.code));
              resolve(error?.code ?? grpc.status.OK);
            },
          );
        if (cancelAfterMs !== undefined) {
          setTimeout(() => {
            ledger.end(key, "caller", "CANCELLED");
            call.cancel();
          }, cancelAfterMs);
        }
      });
    },
    stop: () => server.forceShutdown(),
  };
  return application;
}

const keyHeader = "x-ledger-key";

const readingHeader = "x-reading";

/** The call's name in the ledgers, which its handler knows before the first message, and how it is to read. */
export function metadataOf(key: string, reading: "events" | "loop" = "events"): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set(keyHeader, key);
  metadata.set(readingHeader, reading);
  return metadata;
}

function readsInLoop(metadata: grpc.Metadata): boolean {
  return metadata.get(readingHeader)[0] === "loop";
}

function keyOf(metadata: grpc.Metadata): string {
  return String(metadata.get(keyHeader)[0] ?? "");
}

export function statusName(code: grpc.status | undefined): string {
  return code === undefined || code === grpc.status.OK ? "OK" : (grpc.status[code] ?? String(code));
}

/** Reads a stream to its end in the way that its first message asks for. */
function read(
  stream: NodeJS.ReadableStream,
  take: (message: Buffer) => void,
  how: () => Order["reading"],
  end: () => void,
): void {
  stream.on("data", (message: Buffer) => {
    take(message);
    const reading = how();
    if (reading === "slow" || reading === "once") stream.pause();
    if (reading !== "slow") return;
    setTimeout(() => stream.resume(), 7);
  });
  stream.on("end", end);
}

/** Reads with `for await`. */
export async function readInLoop(stream: AsyncIterable<Buffer>, take: (message: Buffer) => void): Promise<void> {
  for await (const message of stream) take(message);
}
