import * as grpc from "@grpc/grpc-js";
import {
  type LedgerApplication,
  ledgerService,
  metadataOf,
  type Order,
  pause,
  readInLoop,
  statusName,
} from "./application.ts";

/** Numbers in [0, 1) that depend on the seed only (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface TrafficOptions {
  readonly id: string;
  readonly peers: readonly string[];
  readonly application: LedgerApplication;
  readonly random: () => number;
  /** Calls under way at a time. */
  readonly width: number;
  /** Share of calls that are cancelled or given a short deadline. */
  readonly cancelShare: number;
  readonly messageBytesMax: number;
  goOn(): boolean;
  /** Calls that have not ended. */
  readonly open: Set<string>;
  /** How a call that nobody disturbed ended, when not as it should. */
  onWrong(what: string): void;
}

const sameBytes = (bytes: Buffer) => bytes;

/** Makes calls of every kind until `goOn` says no; resolves when the last has ended. */
export async function runTraffic(options: TrafficOptions): Promise<number> {
  const { width } = options;
  let made = 0;
  const lane = async (lane: number) => {
    for (let i = 0; options.goOn(); i += 1) {
      made += 1;
      await oneCall(options, `${lane}.${i}`);
    }
  };
  await Promise.all(Array.from({ length: width }, (_, i) => lane(i)));
  return made;
}

async function oneCall(options: TrafficOptions, name: string): Promise<void> {
  const { id, peers, random } = options;
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const to = pick(peers);
  const kind = pick(["unary", "unary", "collect", "list", "chat", "chat"] as const);
  const end = random() < options.cancelShare ? pick(["cancelled", "overdue"] as const) : "undisturbed";
  const key = `${id}>${to}#${name}-${kind}-${end}`;
  options.open.add(key);
  try {
    await oneKind(options, to, key, kind, end);
  } finally {
    options.open.delete(key);
  }
}

type Kind = "unary" | "collect" | "list" | "chat";
type End = "undisturbed" | "cancelled" | "overdue";

async function oneKind(options: TrafficOptions, to: string, key: string, kind: Kind, end: End): Promise<void> {
  const { id, peers, application, random, onWrong } = options;
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const disturbed = end !== "undisturbed";
  const cancelAfterMs = end === "cancelled" ? Math.floor(random() * 40) : undefined;
  const deadlineMs = end === "overdue" ? 1 + Math.floor(random() * 40) : undefined;
  const bytes = () => (random() < 0.15 ? Math.floor(random() * options.messageBytesMax) : Math.floor(random() * 400));
  const fails = random() < 0.08;
  if (kind === "unary") {
    const order: Order = {
      answerBytes: bytes(),
      ...(random() < 0.5 ? { pauseMs: Math.floor(random() * 15) } : {}),
      ...(fails ? { fails } : {}),
      ...(random() < 0.3 ? { calls: [{ to: pick([id, ...peers].filter((each) => each !== to)), order: {} }] } : {}),
    };
    const status = await application.unary(to, key, order, {
      bytes: bytes(),
      ...(cancelAfterMs === undefined ? {} : { cancelAfterMs }),
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    });
    const expected = fails ? grpc.status.ABORTED : grpc.status.OK;
    if (!disturbed && status !== expected) onWrong(`${key}: unary ended ${grpc.status[status]}`);
    return;
  }
  await oneStream(options, { key, to, kind, fails, disturbed, cancelAfterMs, deadlineMs, bytes });
}

interface StreamCall {
  readonly key: string;
  readonly to: string;
  readonly kind: "collect" | "list" | "chat";
  readonly fails: boolean;
  readonly disturbed: boolean;
  readonly cancelAfterMs: number | undefined;
  readonly deadlineMs: number | undefined;
  bytes(): number;
}

async function oneStream(options: TrafficOptions, call: StreamCall): Promise<void> {
  const { application, random, onWrong } = options;
  const { ledger } = application;
  const { key, to, kind, fails, disturbed, cancelAfterMs, deadlineMs, bytes } = call;
  const writes = kind === "list" ? 1 : 1 + Math.floor(random() * 20);
  const early = kind !== "list" && random() < 0.2 ? 1 + Math.floor(random() * writes) : undefined;
  const order: Order = {
    answerBytes: bytes(),
    reading: random() < 0.3 ? "slow" : "data",
    ...(fails ? { fails } : {}),
    ...(kind === "list" ? { count: Math.floor(random() * 20) } : early === undefined ? {} : { count: early }),
    ...(kind === "list" && random() < 0.3 ? { pauseMs: 1 } : {}),
  };
  const settings = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
  const client = application.dial(to);
  const reading = random() < 0.3 ? "slow" : random() < 0.5 ? "loop" : "data";
  const first = () => ledger.send(key, "request", bytes(), JSON.stringify(order));
  const status = await new Promise<grpc.status>((resolve) => {
    const ended = (code: grpc.status | undefined) => {
      ledger.end(key, "caller", statusName(code));
      resolve(code ?? grpc.status.OK);
    };
    let cancelled = false;
    let stream:
      | grpc.ClientReadableStream<Buffer>
      | grpc.ClientWritableStream<Buffer>
      | grpc.ClientDuplexStream<Buffer, Buffer>;
    // A handler that answers in the midst of a `for await` loop never ends its call, also without an agent (grpc-js).
    const mayLoop = early === undefined && !fails;
    const metadata = metadataOf(key, mayLoop && random() < 0.4 ? "loop" : "events");
    if (kind === "list") {
      stream = client.makeServerStreamRequest(
        ledgerService.list.path,
        sameBytes,
        sameBytes,
        first(),
        metadata,
        settings,
      );
    } else if (kind === "chat") {
      stream = client.makeBidiStreamRequest(ledgerService.chat.path, sameBytes, sameBytes, metadata, settings);
    } else {
      const callback = (error: grpc.ServiceError | null, value?: Buffer) => {
        if (error === null && value !== undefined) ledger.receive(value);
        ended(error?.code);
      };
      stream = client.makeClientStreamRequest(
        ledgerService.collect.path,
        sameBytes,
        sameBytes,
        metadata,
        settings,
        callback,
      );
    }
    stream.on("error", () => {});
    if (cancelAfterMs !== undefined) {
      setTimeout(() => {
        cancelled = true;
        ledger.end(key, "caller", "CANCELLED");
        stream.cancel();
      }, cancelAfterMs);
    }
    if (kind !== "collect") {
      const readable = stream as grpc.ClientReadableStream<Buffer>;
      if (reading === "loop") {
        let code: grpc.status | undefined;
        readable.on("status", (each: grpc.StatusObject) => {
          code = each.code;
        });
        // The loop throws what the status says; whatever it is, the call is over then.
        readInLoop(readable, (message) => ledger.receive(message)).then(
          () => ended(code),
          () => ended(code ?? grpc.status.UNKNOWN),
        );
      } else {
        let reads = true;
        readable.on("data", (message: Buffer) => {
          ledger.receive(message);
          if (reading !== "slow" || !reads) return;
          readable.pause();
          setTimeout(() => readable.resume(), 5);
        });
        readable.on("status", ({ code }: grpc.StatusObject) => {
          reads = false;
          if (code !== grpc.status.OK) ended(code);
          else if (readable.readableEnded) ended(code);
          else readable.once("end", () => ended(code));
        });
      }
    }
    if (kind !== "list") {
      const writable = stream as grpc.ClientDuplexStream<Buffer, Buffer>;
      let written = 0;
      let going = true;
      stream.on("status", () => {
        going = false;
      });
      const write = async () => {
        while (going && !cancelled && written < writes && !writable.destroyed) {
          const message = written === 0 ? first() : ledger.send(key, "request", bytes());
          written += 1;
          if (!writable.write(message)) {
            await new Promise<void>((room) => {
              writable.once("drain", room);
              writable.once("close", room);
              stream.once("status", () => room());
            });
          } else if (random() < 0.5) await pause(Math.floor(random() * 4));
        }
        if (going && !cancelled) writable.end();
      };
      void write();
    }
  });
  const expected = fails ? grpc.status.ABORTED : grpc.status.OK;
  if (!disturbed && status !== expected) onWrong(`${key}: ${kind} ended ${grpc.status[status]}`);
}
