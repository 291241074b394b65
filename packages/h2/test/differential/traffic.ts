import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import type {
  AcceptedConnection,
  CallEvents,
  CallStream,
  HeaderList,
  Http2Limits,
  ResetCause,
} from "../../src/port.ts";
import { type Http2Adapters, listen, until } from "../compliance/adapters.ts";
import { headerValue } from "../support/trivial-server.ts";

/** What one side of a call does, in order; it is the same whoever carries it. */
type Act =
  | { readonly kind: "write"; readonly bytes: number }
  /** Stops reading until the other side has nothing more to send for now. */
  | { readonly kind: "pause" }
  | { readonly kind: "await" };

export interface CallScript {
  readonly requestHeaders: readonly string[];
  readonly request: readonly Act[];
  /** How the client ends: half-close, or RST_STREAM with this code when the answer has begun. */
  readonly requestEnd: "end" | { readonly reset: number };
  readonly answerHeaders: readonly string[];
  readonly answer: readonly Act[];
  readonly answerEnd: "end" | { readonly reset: number } | { readonly trailers: readonly string[] } | "headersOnly";
}

/** What was seen on one call, in an order that does not depend on how the bytes were cut. */
export interface Seen {
  server: string[];
  client: string[];
}

const headerName = fc.constantFrom("a", "b-bin", "x-trace", "grpc-timeout", "user-agent", "content-type");
const headerText = fc.oneof(
  fc.constantFrom("", "1", "application/grpc", "x y"),
  fc.integer({ min: 0, max: 4_000 }).map((length) => "v".repeat(length)),
  fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((c) => String.fromCharCode(c)), maxLength: 30 }),
);
const fields = fc
  .uniqueArray(fc.tuple(headerName, headerText), { maxLength: 5, selector: ([name]) => name })
  .map((pairs) => pairs.flat());
const size = fc.oneof(
  fc.constantFrom(1, 100, 16_384, 16_385, 65_535, 65_536, 200_000),
  fc.integer({ min: 1, max: 3_000 }),
);
const write = { weight: 4, arbitrary: size.map((bytes) => ({ kind: "write", bytes }) as const) };
const wait = { weight: 1, arbitrary: fc.constant({ kind: "await" } as const) };
const pause = { weight: 1, arbitrary: fc.constant({ kind: "pause" } as const) };
/** The client does not pause: one of node:http2 that does so while its answer begins may never read it, though all of it has come. */
const clientActs = fc.array(fc.oneof(write, wait), { maxLength: 5 });
const serverActs = fc.array(fc.oneof(write, wait, pause), { maxLength: 5 });
const code = fc.constantFrom(1, 2, 7, 8, 11);
/** Not 8: to a client of node:http2 that has sent all of its request, an answer that is cancelled looks like one that ends. */
const answerCode = fc.constantFrom(1, 2, 7, 11);

export const callScript: fc.Arbitrary<CallScript> = fc
  .record({
    requestHeaders: fields,
    request: clientActs,
    requestEnd: fc.oneof(
      { weight: 5, arbitrary: fc.constant("end" as const) },
      { weight: 1, arbitrary: fc.record({ reset: code }) },
    ),
    answerHeaders: fields,
    answer: serverActs,
    answerEnd: fc.oneof(
      { weight: 4, arbitrary: fields.map((trailers) => ({ trailers: ["grpc-status", "0", ...trailers] })) },
      { weight: 1, arbitrary: fc.constant("end" as const) },
      { weight: 1, arbitrary: fc.constant("headersOnly" as const) },
      { weight: 1, arbitrary: fc.record({ reset: answerCode }) },
    ),
  })
  // Two who reset at once cross on the way, and either may win; and who resets waits for headers that come first.
  .filter(({ requestEnd, answerEnd }) => requestEnd === "end" || (answerEnd !== "headersOnly" && !isReset(answerEnd)));

function isReset(end: CallScript["answerEnd"]): boolean {
  return typeof end !== "string" && "reset" in end;
}

const turns = async (count: number) => {
  for (let i = 0; i < count; i += 1) await delay(0);
};

/** One side of a call: plays its script, and notes what it sees of the other. */
class Side implements CallEvents {
  readonly log: string[] = [];
  stream: CallStream | undefined;
  bytes = 0;
  isOver = false;
  resetCode: number | undefined;
  #room = Promise.withResolvers<void>();

  onHeaders(headers: HeaderList, endStream: boolean): void {
    this.log.push(`headers ${JSON.stringify(headers)} ${endStream}`);
    if (endStream) this.#end();
  }

  onData(chunk: Buffer): void {
    this.bytes += chunk.length;
  }

  onTrailers(headers: HeaderList): void {
    this.log.push(`${this.bytes} bytes`, `trailers ${JSON.stringify(headers)}`);
    this.#end();
  }

  onEnd(): void {
    this.log.push(`${this.bytes} bytes`, "end");
    this.#end();
  }

  onReset(resetCode: number, cause?: ResetCause): void {
    this.resetCode = resetCode;
    this.log.push(`reset ${resetCode} ${cause}`);
    this.#end();
  }

  onDrain(): void {
    this.#room.resolve();
  }

  #end(): void {
    this.isOver = true;
    this.#room.resolve();
  }

  async play(acts: readonly Act[]): Promise<void> {
    for (const act of acts) {
      if (this.resetCode !== undefined) return;
      if (act.kind === "await") await turns(2);
      if (act.kind === "pause") {
        this.stream?.pause();
        await turns(3);
        this.stream?.resume();
      }
      if (act.kind !== "write") continue;
      this.#room = Promise.withResolvers();
      if (this.stream?.write(Buffer.alloc(act.bytes, 0x61)) === "full" && this.resetCode === undefined)
        await this.#room.promise;
    }
  }
}

async function answer(side: Side, script: CallScript): Promise<void> {
  const { stream } = side;
  if (stream === undefined) return;
  const { answerEnd } = script;
  if (answerEnd === "headersOnly") await until("the request is over", () => side.isOver);
  stream.respond([":status", "200", ...script.answerHeaders], answerEnd === "headersOnly");
  if (answerEnd === "headersOnly") return;
  await side.play(script.answer);
  // A complete answer would end a request that is still under way.
  await until("the request is over", () => side.isOver);
  if (answerEnd === "end") stream.end();
  else if ("trailers" in answerEnd) stream.trailers(answerEnd.trailers);
  else stream.reset(answerEnd.reset);
}

/** Plays calls through a server of one kind and a client of another; returns what each side saw of each call. */
export async function play(
  server: Http2Adapters,
  client: Http2Adapters,
  scripts: readonly CallScript[],
  limits: Partial<Http2Limits>,
): Promise<Seen[]> {
  const sides: Side[] = scripts.map(() => new Side());
  const answers: Promise<void>[] = [];
  const connection: AcceptedConnection = {
    onCall(stream, headers, endStream) {
      const index = Number(headerValue(headers, "x-call"));
      const side = sides[index] as Side;
      side.stream = stream;
      side.log.push(`request ${JSON.stringify(headers)}`);
      // END_STREAM may stand on HEADERS or on an empty DATA frame behind them, and means the same (RFC 9113, section 8.1).
      if (endStream) side.onEnd();
      setImmediate(() => answers.push(answer(side, scripts[index] as CallScript)));
      return side;
    },
  };
  const listening = await listen(server.createServer(limits), () => connection);
  const http2 = client.createClient({ host: "127.0.0.1", port: listening.port, limits });
  try {
    const seen = await Promise.all(
      scripts.map(async (script, i) => {
        const near = new Side();
        const far = sides[i] as Side;
        const endsAtOnce = script.request.length === 0 && script.requestEnd === "end";
        const headers = [":method", "POST", ":scheme", "http", ":path", "/d", ":authority", "d", "x-call", String(i)];
        near.stream = http2.open([...headers, ...script.requestHeaders], endsAtOnce, near);
        if (!endsAtOnce) {
          await near.play(script.request);
          if (script.requestEnd === "end") near.stream.end();
          else {
            await until("an answer or an end", () => near.log.length > 0);
            near.stream.reset(script.requestEnd.reset);
          }
        }
        const resets = script.requestEnd !== "end";
        await until(`the end of call ${i}`, () => (near.isOver || resets) && far.isOver);
        return { server: far.log, client: near.log };
      }),
    );
    await Promise.all(answers);
    await until("nothing is left", () => http2.openStreams === 0 && listening.http2Server.openStreams === 0);
    return seen;
  } finally {
    await http2.close(0);
    await listening.close();
  }
}
