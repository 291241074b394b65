/**
 * A program of its own: keeps a number of calls open for a while and measures them. It is told what to do by
 * `POST /` on BENCH_CONTROL_PORT with a `LoadRequest`, and answers with a `LoadResult`.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import process from "node:process";
import { json } from "node:stream/consumers";
import * as grpc from "@grpc/grpc-js";
import { createApplication } from "./application.ts";
import { echoAuthority, echoService, type LoadRequest, type LoadResult } from "./contract.ts";

interface EchoClient extends grpc.Client {
  call(request: Buffer, callback: (error: grpc.ServiceError | null, reply?: Buffer) => void): grpc.ClientUnaryCall;
}
const EchoClient = grpc.makeGenericClientConstructor(echoService, "Echo") as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: grpc.ClientOptions,
) => EchoClient;

const { BENCH_CONTROL_PORT, BENCH_ECHO_ADDRESS = "" } = process.env;
let calls = 0;
const { participant, serve } = createApplication(() => ({ calls }));
const insecure = grpc.credentials.createInsecure();
const direct = new EchoClient(BENCH_ECHO_ADDRESS, insecure, { "grpc.enable_http_proxy": 0 });
const byName = new EchoClient(echoAuthority, insecure);
const byAgents = participant?.client(byName) ?? byName;

/** Resolves with its latency in us, NaN when it failed. */
function call(client: EchoClient, payload: Buffer): Promise<number> {
  const began = performance.now();
  return new Promise((resolve) => {
    const make = () => {
      client.call(payload, (error, reply) => {
        calls += 1;
        const answered = error === null && reply?.length === payload.length;
        resolve(answered ? (performance.now() - began) * 1_000 : Number.NaN);
      });
    };
    // With the SDK a call is made in a section, as its guide says.
    if (participant === undefined || client === direct) make();
    else void participant.atomic(make);
  });
}

async function load({ route, concurrency, durationMs, messageBytes = 100 }: LoadRequest): Promise<LoadResult> {
  const payload = Buffer.alloc(messageBytes, "x");
  const client = route === "direct" ? direct : byAgents;
  const latenciesUs: number[] = [];
  let failures = 0;
  const began = performance.now();
  const worker = async () => {
    while (performance.now() - began < durationMs) {
      const latencyUs = await call(client, payload);
      if (Number.isNaN(latencyUs)) failures += 1;
      else latenciesUs.push(latencyUs);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  const elapsedMs = performance.now() - began;
  const sorted = Float64Array.from(latenciesUs).sort();
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { calls: sorted.length, failures, elapsedMs, p50Us: at(0.5), p99Us: at(0.99) };
}

const control = createServer((request: IncomingMessage, response) => {
  json(request)
    .then((body) => load(body as LoadRequest))
    .then(
      (result) => response.end(JSON.stringify(result)),
      (error: Error) => response.writeHead(500).end(error.message),
    );
});
control.listen(Number(BENCH_CONTROL_PORT), "127.0.0.1");
await once(control, "listening");
await serve("load client serves");
