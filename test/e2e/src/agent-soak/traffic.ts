import { setTimeout as delay } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";

const asItIs = (bytes: Buffer) => bytes;
const method = (name: string, stream: boolean) => ({
  path: `/soak.Echo/${name}`,
  requestStream: stream,
  responseStream: stream,
  requestSerialize: asItIs,
  requestDeserialize: asItIs,
  responseSerialize: asItIs,
  responseDeserialize: asItIs,
});
const methods = { one: method("One", false), many: method("Many", true) };

/** Answers every message with itself. Resolves with the server and its port. */
export async function serveEcho(): Promise<{ readonly server: grpc.Server; readonly port: number }> {
  const server = new grpc.Server({ "grpc.enable_channelz": 0 });
  server.addService(methods as unknown as grpc.ServiceDefinition, {
    one: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => answer(null, call.request),
    many(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on("data", (message) => call.write(message));
      call.on("end", () => call.end());
      // Half of them are cancelled on purpose.
      call.on("error", () => undefined);
    },
  });
  const credentials = grpc.ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return { server, port };
}

export interface Tally {
  unary: number;
  streams: number;
  cancelled: number;
  expired: number;
  shortConnections: number;
  environment: number;
  failed: number;
}

export interface TrafficOptions {
  /** Where the caller's agent takes the application's calls. */
  readonly outboundPort: number;
  /** Where the callee's agent takes callers without one. */
  readonly inboundPort: number;
  readonly authority: string;
  readonly signal: AbortSignal;
}

const loops = 4;
/** Between one short connection and the next. */
const pauseMs = 15;
/**
 * Between calls of which some end with RST_STREAM. Servers built on nghttp2 close a connection, with INTERNAL_ERROR, that
 * goes on resetting more than 33 streams a second (its defaults: 1000 at once, 33/s), with agents or without.
 */
const resetPauseMs = 80;
const payloadBytes = [1, 100, 10_000, 200_000];

/** Everything that happens to an agent in a busy life, until the signal. */
export async function makeTraffic(options: TrafficOptions, tally: Tally): Promise<void> {
  const { outboundPort, inboundPort, authority, signal } = options;
  const through = () =>
    new grpc.Client(`127.0.0.1:${outboundPort}`, grpc.credentials.createInsecure(), channelOptions(authority));
  const direct = () =>
    new grpc.Client(`127.0.0.1:${inboundPort}`, grpc.credentials.createInsecure(), channelOptions(authority));
  const lasting = through();
  const repeat = async (work: (turn: number) => Promise<void>, everyMs = 0) => {
    for (let turn = 0; !signal.aborted; turn += 1) {
      await work(turn);
      await delay(everyMs);
    }
  };
  const note = (code: number, kind: keyof Tally) => {
    tally[code === 0 ? kind : "failed"] += 1;
  };
  const shortLived = async (client: grpc.Client, kind: keyof Tally) => {
    note(await unary(client, 100), kind);
    client.close();
  };
  try {
    await Promise.all([
      ...Array.from({ length: loops }, () =>
        repeat(async (turn) => note(await unary(lasting, payloadBytes[turn % payloadBytes.length] ?? 1), "unary")),
      ),
      repeat(() => shortLived(through(), "shortConnections"), pauseMs),
      repeat(() => shortLived(direct(), "environment"), pauseMs),
      repeat(async (turn) => {
        const code = await stream(lasting, 20, turn % 2 === 0 ? "finish" : "cancel");
        if (code === grpc.status.CANCELLED) tally.cancelled += 1;
        else note(code, "streams");
      }, resetPauseMs),
      repeat(async () => {
        const code = await unary(lasting, 1, Date.now());
        if (code === grpc.status.DEADLINE_EXCEEDED) tally.expired += 1;
        else note(code, "unary");
      }, resetPauseMs),
    ]);
  } finally {
    lasting.close();
  }
}

function channelOptions(authority: string): grpc.ClientOptions {
  return {
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.default_authority": authority,
  };
}

function unary(client: grpc.Client, bytes: number, deadline?: number): Promise<number> {
  const options = deadline === undefined ? {} : { deadline: deadline + 1 };
  return new Promise((resolve) => {
    client.makeUnaryRequest(methods.one.path, asItIs, asItIs, Buffer.alloc(bytes), options, (error) =>
      resolve(error?.code ?? 0),
    );
  });
}

/** `cancel`: half-way through. */
function stream(client: grpc.Client, messages: number, ending: "finish" | "cancel"): Promise<number> {
  const call = client.makeBidiStreamRequest(methods.many.path, asItIs, asItIs);
  let answers = 0;
  call.on("data", () => {
    answers += 1;
    if (ending === "cancel" && answers === messages / 2) call.cancel();
    else if (answers === messages) call.end();
  });
  // The status says the same.
  call.on("error", () => undefined);
  for (let i = 0; i < messages; i += 1) call.write(Buffer.alloc(1_000));
  return new Promise((resolve) => call.once("status", ({ code }) => resolve(code)));
}
